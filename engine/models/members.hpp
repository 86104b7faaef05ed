#pragma once
/// What models made of other models share: which they are, and their tensors inside those of the whole.

#include <string>
#include <string_view>
#include <vector>

#include "engine/models/recommender.hpp"

namespace sheaf {

/// The models in a text such as "user-knn+ease"; "none" is none. UsageError, with `setting` and the nearest name, for
/// one that is not registered, for `self`, and for one that is named twice.
std::vector<std::string> member_names(const std::string& setting, const std::string& text, std::string_view self);

/// All tensors of `member`, each with `prefix` before its name. Tensors::part(prefix) gives them back.
void add_prefixed(std::vector<NamedTensor>& tensors, const std::string& prefix, const Recommender& member);

/// "members.<name>."
std::string member_prefix(std::string_view name);

/// The options of a member's fit: without reports, and with those of `chosen` that begin with `prefix`, without it.
FitOptions member_options(const FitOptions& options, const std::string& prefix);
/// What a member chose, each with `prefix` before its name.
std::map<std::string, double> prefixed(const std::map<std::string, double>& chosen, const std::string& prefix);

}  // namespace sheaf
