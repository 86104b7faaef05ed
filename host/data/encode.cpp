#include "host/data/encode.hpp"

#include <algorithm>
#include <functional>

#include "kernels/core/interrupt.hpp"

namespace sheaf::data {

size_t StringEncoder::slot_of(std::string_view text, size_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot] >= 0) {
    const auto code = static_cast<size_t>(slots_[slot]);
    if (hashes_[code] == hash && strings_[code] == text) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}

void StringEncoder::grow() {
  slots_.assign(std::max<size_t>(1024, slots_.size() * 2), -1);
  for (size_t code = 0; code < strings_.size(); ++code) {
    slots_[slot_of(strings_[code], hashes_[code])] = static_cast<int32_t>(code);
  }
}

int32_t StringEncoder::encode(std::string_view text) {
  check_interrupt();
  if (slots_.size() < 2 * (strings_.size() + 1)) grow();
  const size_t hash = std::hash<std::string_view>{}(text);
  const size_t slot = slot_of(text, hash);
  if (slots_[slot] < 0) {
    slots_[slot] = static_cast<int32_t>(strings_.size());
    strings_.push_back(text);
    hashes_.push_back(hash);
  }
  return slots_[slot];
}

int32_t StringEncoder::find(std::string_view text) const {
  return slots_.empty() ? -1 : slots_[slot_of(text, std::hash<std::string_view>{}(text))];
}

void sort_pairs(std::vector<uint64_t>& pairs) {
  std::ranges::sort(pairs, {}, [](uint64_t pair) {
    check_interrupt();
    return pair;
  });
}

SortedCodes sort_codes(const std::vector<std::string_view>& strings, const std::vector<uint8_t>& occurs) {
  SortedCodes sorted;
  for (size_t code = 0; code < strings.size(); ++code) {
    if (occurs[code] != 0) sorted.old_of.push_back(static_cast<int32_t>(code));
  }
  std::ranges::sort(sorted.old_of, {}, [&](int32_t code) { return strings[static_cast<size_t>(code)]; });
  sorted.new_of.assign(strings.size(), -1);
  for (const int32_t code : sorted.old_of) {
    sorted.new_of[static_cast<size_t>(code)] = static_cast<int32_t>(sorted.strings.size());
    sorted.strings.push_back(strings[static_cast<size_t>(code)]);
  }
  return sorted;
}

std::vector<int32_t> most_frequent(std::vector<uint64_t> pairs, int64_t n_keys) {
  sort_pairs(pairs);
  std::vector<int32_t> best(static_cast<size_t>(n_keys), -1);
  std::vector<int64_t> best_count(static_cast<size_t>(n_keys), 0);
  for (size_t begin = 0; begin < pairs.size();) {
    size_t end = begin;
    while (end < pairs.size() && pairs[end] == pairs[begin]) ++end;
    const auto key = static_cast<size_t>(pair_key(pairs[begin]));
    const auto count = static_cast<int64_t>(end - begin);
    if (count > best_count[key]) {
      best_count[key] = count;
      best[key] = pair_value(pairs[begin]);
    }
    begin = end;
  }
  return best;
}

}  // namespace sheaf::data
