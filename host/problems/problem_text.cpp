#include "host/problems/problem_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "host/text/csv.hpp"

namespace sheaf::problems {

std::string problem_text(const std::filesystem::path& path) {
  std::string text = text::read_text(path);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  return text;
}

bool is_rounded(std::string_view word, double value) {
  if (!word.empty() && (word[0] == '-' || word[0] == '+')) word.remove_prefix(1);
  word.remove_prefix(std::min(word.find_first_not_of('0'), word.size()));
  if (word.empty() || !std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; })) return false;
  return fmt::format("{:.0f}", value < 0.0 ? -value : value) != word;
}

}  // namespace sheaf::problems
