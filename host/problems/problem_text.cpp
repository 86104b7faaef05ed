#include "host/problems/problem_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sheaf::problems {

bool is_rounded(std::string_view word, double value) {
  if (!word.empty() && (word[0] == '-' || word[0] == '+')) word.remove_prefix(1);
  word.remove_prefix(std::min(word.find_first_not_of('0'), word.size()));
  if (word.empty() || !std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; })) return false;
  return fmt::format("{:.0f}", value < 0.0 ? -value : value) != word;
}

}  // namespace sheaf::problems
