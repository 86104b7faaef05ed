#include "host/data/find_item.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::data {
namespace {

constexpr size_t kSuggestions = 4;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return out;
}

/// The least edit distance between `text` and any part of `name` (Sellers, 1980).
int64_t part_distance(std::string_view text, std::string_view name) {
  constexpr size_t kMost = 256;  // as in edit_distance
  text = text.substr(0, kMost);
  std::vector<int64_t> column(text.size() + 1);
  std::iota(column.begin(), column.end(), int64_t{0});
  int64_t best = column.back();
  for (const char c : name) {
    int64_t diagonal = 0;
    for (size_t t = 1; t <= text.size(); ++t) {
      const int64_t replaced = diagonal + (text[t - 1] == c ? 0 : 1);
      diagonal = column[t];
      column[t] = std::min({replaced, column[t] + 1, column[t - 1] + 1});
    }
    best = std::min(best, column.back());
  }
  return best;
}

std::string listed(const Prepared& prepared, const std::vector<int32_t>& items) {
  std::string out;
  for (size_t i = 0; i < std::min(items.size(), kSuggestions); ++i) {
    out += fmt::format("{}'{}' ({})", i == 0 ? "" : ", ", text::shown(prepared.item_names[items[i]]),
                       text::shown(prepared.item_ids[items[i]]));
  }
  return out;
}

[[noreturn]] void throw_unknown(const Prepared& prepared, std::string_view text) {
  std::vector<std::pair<int64_t, int32_t>> nearest;  // distance, item
  for (int64_t i = 0; i < prepared.n_items; ++i) {
    const int64_t by_id = text::edit_distance(text, prepared.item_ids[i]);
    const int64_t by_name = part_distance(lower(text), lower(prepared.item_names[i]));
    nearest.emplace_back(std::min(by_id, by_name), static_cast<int32_t>(i));
  }
  std::ranges::sort(nearest);
  std::vector<int32_t> items;
  for (const auto& [distance, item] : nearest) items.push_back(item);
  throw DataError(fmt::format("no item '{}' in {} ({} are known)", text::shown(text), prepared.name, prepared.n_items),
                  fmt::format("the nearest: {}", listed(prepared, items)));
}

}  // namespace

int32_t find_item_by_name(const Prepared& prepared, std::string_view text) {
  if (const int64_t code = prepared.item_ids.find_sorted(text); code >= 0) return static_cast<int32_t>(code);
  const std::string wanted = lower(text);
  std::vector<int32_t> whole, part;
  for (int64_t i = 0; i < prepared.n_items && !wanted.empty(); ++i) {
    const std::string name = lower(prepared.item_names[i]);
    if (name == wanted) whole.push_back(static_cast<int32_t>(i));
    if (name.find(wanted) != std::string::npos) part.push_back(static_cast<int32_t>(i));
  }
  const std::vector<int32_t>& found = whole.empty() ? part : whole;
  if (found.size() == 1) return found[0];
  if (found.empty()) throw_unknown(prepared, text);
  throw DataError(fmt::format("{} items are named '{}'", found.size(), text::shown(text)),
                  fmt::format("give an id or more of the name: {}{}", listed(prepared, found),
                              found.size() > kSuggestions ? ", ..." : ""));
}

}  // namespace sheaf::data
