#include "engine/models/members.hpp"

#include <algorithm>
#include <utility>

#include "engine/data/nearest.hpp"
#include "engine/models/registry.hpp"
#include "engine/models/widths.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {

std::vector<std::string> member_names(const std::string& setting, const std::string& text, std::string_view self) {
  const std::vector<std::string> names = split_words(text == "none" ? "" : text, '+'), all = model_names();
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (*name == self || std::find(names.begin(), name, *name) != name) {
      throw UsageError(setting + " = '" + text + "' names " + *name + " where it may not",
                       "name each other model at most once");
    }
    if (std::ranges::find(all, *name) == all.end()) {
      throw UsageError(setting + " = '" + text + "': there is no model '" + *name + "'",
                       "did you mean '" + text::nearest(*name, all) + "'?");
    }
  }
  return names;
}

void add_prefixed(std::vector<NamedTensor>& tensors, const std::string& prefix, const Recommender& member) {
  for (NamedTensor& tensor : member.tensors()) {
    tensor.name = prefix + tensor.name;
    tensors.push_back(std::move(tensor));
  }
}

std::string member_prefix(std::string_view name) { return "members." + std::string(name) + "."; }

FitOptions member_options(const FitOptions& options, const std::string& prefix) {
  FitOptions own = options;
  own.on_epoch = nullptr;
  own.chosen.clear();
  for (const auto& [key, value] : options.chosen) {
    if (key.starts_with(prefix)) own.chosen[key.substr(prefix.size())] = value;
  }
  return own;
}

std::map<std::string, double> prefixed(const std::map<std::string, double>& chosen, const std::string& prefix) {
  std::map<std::string, double> named;
  for (const auto& [key, value] : chosen) named[prefix + key] = value;
  return named;
}

}  // namespace sheaf
