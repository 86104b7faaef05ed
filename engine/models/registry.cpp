#include "engine/models/registry.hpp"

#include <algorithm>

#include "engine/data/nearest.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {

// Each in its own file.
std::unique_ptr<Recommender> make_additive();
std::unique_ptr<Recommender> make_blend();
std::unique_ptr<Recommender> make_als();
std::unique_ptr<Recommender> make_autoencoder();
std::unique_ptr<Recommender> make_ease();
std::unique_ptr<Recommender> make_ensemble();
std::unique_ptr<Recommender> make_factorization();
std::unique_ptr<Recommender> make_fusion();
std::unique_ptr<Recommender> make_gru();
std::unique_ptr<Recommender> make_item_knn();
std::unique_ptr<Recommender> make_lightgcn();
std::unique_ptr<Recommender> make_lstm();
std::unique_ptr<Recommender> make_personal();
std::unique_ptr<Recommender> make_sasrec();
std::unique_ptr<Recommender> make_svd();
std::unique_ptr<Recommender> make_user_knn();

namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Recommender> (*make)();
};

constexpr Entry kModels[] = {
    {"factorization", make_factorization},  //
    {"additive", make_additive},            //
    {"sasrec", make_sasrec},                //
    {"lightgcn", make_lightgcn},            //
    {"autoencoder", make_autoencoder},      //
    {"gru", make_gru},                      //
    {"lstm", make_lstm},                    //
    {"ease", make_ease},                    //
    {"als", make_als},                      //
    {"svd", make_svd},                      //
    {"personal", make_personal},            //
    {"item-knn", make_item_knn},            //
    {"user-knn", make_user_knn},            //
    {"fusion", make_fusion},                //
    {"blend", make_blend},                  //
    {"ensemble", make_ensemble},            //
};

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Recommender> make_recommender(std::string_view name) {
  const auto* const at = std::ranges::find(kModels, name, &Entry::name);
  if (at != std::end(kModels)) return at->make();
  const std::vector<std::string> names = model_names();
  const std::string now = renamed(name);
  throw UsageError("unknown model '" + std::string(name) + "'",
                   now.empty() ? "did you mean '" + text::nearest(name, names) + "'? There are " + text::join(names)
                               : "it is called " + now + " now");
}

std::vector<std::unique_ptr<Recommender>> all_recommenders() {
  std::vector<std::unique_ptr<Recommender>> models;
  for (const Entry& entry : kModels) models.push_back(entry.make());
  return models;
}

std::vector<SettingGroup> model_settings(const std::vector<std::unique_ptr<Recommender>>& models) {
  std::vector<SettingGroup> groups;
  for (const auto& model : models) {
    for (SettingGroup& group : model->settings()) {
      if (std::ranges::find(groups, group.section, &SettingGroup::section) == groups.end()) {
        groups.push_back(std::move(group));
      }
    }
  }
  return groups;
}

std::string renamed(std::string_view former) { return former == "transformer" ? "sasrec" : ""; }

}  // namespace sheaf
