#pragma once
/// Strings to dense codes and back.

#include <cstdint>
#include <string_view>
#include <vector>

#include "host/data/string_table.hpp"

namespace sheaf::data {

/// Gives every different string a code, in the order in which they come. Strings are not copied: they must outlive it.
class StringEncoder {
 public:
  int32_t encode(std::string_view text);
  /// -1 if the string has no code.
  int32_t find(std::string_view text) const;
  const std::vector<std::string_view>& strings() const noexcept { return strings_; }
  int64_t size() const noexcept { return static_cast<int64_t>(strings_.size()); }

 private:
  size_t slot_of(std::string_view text, size_t hash) const;
  void grow();

  std::vector<std::string_view> strings_;
  std::vector<size_t> hashes_;
  std::vector<int32_t> slots_;  // a power of two of them, -1 is free
};

/// The codes that occur, renumbered by the byte order of their strings.
struct SortedCodes {
  StringTable strings;          // ascending
  std::vector<int32_t> old_of;  // [n] the former code
  std::vector<int32_t> new_of;  // [n former] -1 where the former code does not occur
};
SortedCodes sort_codes(const std::vector<std::string_view>& strings, const std::vector<uint8_t>& occurs);

/// (key, value) in one number, ordered by key, then value. Both are codes, >= 0.
inline uint64_t code_pair(int32_t key, int32_t value) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(key)) << 32) | static_cast<uint32_t>(value);
}
inline int32_t pair_key(uint64_t pair) { return static_cast<int32_t>(pair >> 32); }
inline int32_t pair_value(uint64_t pair) { return static_cast<int32_t>(pair & 0xffffffffu); }

/// Ascending; an interrupt ends it.
void sort_pairs(std::vector<uint64_t>& pairs);

/// For every key in [0, n_keys) its most frequent value; of equals the least; -1 for a key without a pair.
std::vector<int32_t> most_frequent(std::vector<uint64_t> pairs, int64_t n_keys);

}  // namespace sheaf::data
