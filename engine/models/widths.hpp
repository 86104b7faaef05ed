#pragma once
/// Settings of networks as people write them.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/dense/activation.hpp"

namespace sheaf {

/// The words between `separator`s, without empty ones.
std::vector<std::string> split_words(const std::string& text, char separator);

/// "64-32" as {64, 32}, each 1 to 9999; "none" as no width where `may_be_none`. UsageError that names `setting`
/// ("fusion.hidden") for another text.
std::vector<int64_t> parse_widths(const std::string& setting, const std::string& text, bool may_be_none,
                                  char separator = '-');

/// "relu", "sigmoid", "tanh" or "gelu", which the setting's choices have checked.
dense::Activation parse_activation(const std::string& text);

}  // namespace sheaf
