#pragma once
/// What all other code sees of a model. A model is one file of this folder, its declaration and its line in
/// registry.cpp, and its test: see README.md.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/data/settings.hpp"
#include "engine/models/tensors.hpp"
#include "engine/scoring/scorer.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

/// What a model may learn from.
struct TrainData {
  int64_t n_users = 0;
  const Catalog& catalog;
  const Purchases& purchases;  // train; validation to choose by
};

struct FitOptions {
  uint64_t seed = 1;
  bool mask_seen = false;     // validation ranks only items that are new to the user
  int64_t validation_k = 10;  // of the NDCG that choices are made by
  std::function<void(const EpochReport&)> on_epoch = {};
  std::function<void(const std::string&)> on_note = {};  // a line that a person should read while the model learns
  double long_epoch = 30.0;  // seconds from which on a line says that epochs are long, and what has shorter ones
  /// What an earlier fit of the same model chose on a validation period, where this one has none: FitReport::chosen.
  std::map<std::string, double> chosen = {};
  Checkpoints* checkpoints = nullptr;  // where a training keeps its states; a model without epochs has none
};

struct FitReport : TrainReport {
  std::map<std::string, double> chosen;  // what validation decided: epochs, the strength of a regularisation, ...
};

/// Vectors on the device, or none (dim 0).
struct Vectors {
  int64_t n = 0, dim = 0;
  Buffer<float> values;  // [n, dim]

  MatrixView<const float> matrix() const { return values.matrix(n, dim); }
  bool empty() const { return dim == 0; }
};

class Recommender {
 public:
  Recommender() = default;
  virtual ~Recommender() = default;
  Recommender(const Recommender&) = delete;
  Recommender& operator=(const Recommender&) = delete;

  /// By which it is chosen (model.preference) and saved.
  virtual std::string_view name() const = 0;
  /// One line for people.
  virtual std::string_view about() const = 0;
  /// The sections of settings that it reads, with where they are kept.
  virtual std::vector<SettingGroup> settings() = 0;
  /// Learns from the data, on the device, and calls set_size(). Throws UsageError for settings that do not go together,
  /// DataError for data without information, Interrupted.
  virtual FitReport fit(Context& context, const TrainData& data, const FitOptions& options) = 0;
  /// Of the fitted model; made once by whoever scores. It outlives the model.
  virtual std::unique_ptr<Scorer> scorer(Context& context) const = 0;
  /// All that was learned, to be saved; `restore` takes it back. DataError for tensors that are missing or do not fit.
  virtual std::vector<NamedTensor> tensors() const = 0;
  virtual void restore(Context& context, const Tensors& tensors) = 0;
  /// For association by learned vectors; none where the model has none.
  virtual Vectors item_vectors(Context&) const { return {}; }
  virtual Vectors user_vectors(Context&) const { return {}; }

  int64_t n_users() const { return n_users_; }
  int64_t n_items() const { return n_items_; }
  /// Before restore().
  void set_size(int64_t n_users, int64_t n_items) {
    n_users_ = n_users;
    n_items_ = n_items;
  }
  /// Fitted after the model, on its scores; `scorer` carries it.
  Calibration calibration;

 private:
  int64_t n_users_ = 0, n_items_ = 0;
};

/// All scorers of one model are made here: with its calibration.
std::unique_ptr<Scorer> calibrated_scorer(Context& context, const Recommender& model);

}  // namespace sheaf
