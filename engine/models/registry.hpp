#pragma once
/// The models by name.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/models/recommender.hpp"

namespace sheaf {

std::vector<std::string> model_names();
/// A model with its usual settings, not fitted. UsageError with the nearest name for one that is not registered.
std::unique_ptr<Recommender> make_recommender(std::string_view name);
/// The settings of all models with their defaults; sections that several share come once.
std::vector<SettingGroup> model_settings(const std::vector<std::unique_ptr<Recommender>>& models);
/// One of each.
std::vector<std::unique_ptr<Recommender>> all_recommenders();
/// The section or model that had this name in an earlier version; empty for none.
std::string renamed(std::string_view former);

}  // namespace sheaf
