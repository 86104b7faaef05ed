#pragma once
/// Data that every model of the registry can learn from in little time, for their tests.

#include <memory>
#include <string>

#include "engine/models/registry.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf::test {

/// The planted tastes as purchases: each training purchase is a basket. A user's baskets follow one another, a day
/// apart.
struct ModelData {
  ModelData();
  TrainData view() const { return {Planted::n_users, planted_.catalog, purchases}; }
  const Catalog& catalog() const { return planted_.catalog; }

  Purchases purchases;

 private:
  Planted planted_;
};

/// Settings under which a fit takes a moment: few epochs, narrow, for any model.
SettingValues quick_settings();
/// A model of that name with them.
std::unique_ptr<Recommender> quick_model(std::string_view name);

/// All floats of all tensors.
std::vector<float> float_values(const Recommender& model);

}  // namespace sheaf::test
