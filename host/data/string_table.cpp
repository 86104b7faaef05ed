#include "host/data/string_table.hpp"

namespace sheaf::data {

int64_t StringTable::find_sorted(std::string_view text) const {
  int64_t low = 0, high = size();
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if ((*this)[middle] < text) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < size() && (*this)[low] == text ? low : -1;
}

}  // namespace sheaf::data
