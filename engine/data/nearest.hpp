#pragma once
/// "Did you mean": the candidate with the least edit distance.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sheaf::text {

/// Levenshtein distance in bytes, of the first 256 of each.
int64_t edit_distance(std::string_view a, std::string_view b);
/// The nearest candidate (the first of equals); empty if there are none.
std::string nearest(std::string_view name, std::span<const std::string> candidates);
/// "a, b, c"
std::string join(std::span<const std::string> names);

}  // namespace sheaf::text
