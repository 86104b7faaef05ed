#pragma once
/// Many strings in one piece of memory.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sheaf::data {

struct StringTable {
  std::string bytes;
  std::vector<int64_t> offsets{0};  // [size + 1] into bytes

  int64_t size() const noexcept { return static_cast<int64_t>(offsets.size()) - 1; }
  std::string_view operator[](int64_t i) const {
    const auto begin = static_cast<size_t>(offsets[static_cast<size_t>(i)]);
    return std::string_view(bytes).substr(begin, static_cast<size_t>(offsets[static_cast<size_t>(i) + 1]) - begin);
  }
  void push_back(std::string_view text) {
    bytes.append(text);
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  }
  /// Position of `text` in a table that is in ascending byte order; -1 if it is not there.
  int64_t find_sorted(std::string_view text) const;

  bool operator==(const StringTable&) const = default;
};

}  // namespace sheaf::data
