#include "bench/common/op_case.hpp"

#include <stdexcept>

namespace sheaf::bench {

int64_t Shape::operator[](const std::string& axis) const {
  for (const auto& [name, size] : axes_) {
    if (name == axis) return size;
  }
  throw std::out_of_range("no axis '" + axis + "' in " + text());
}

std::string Shape::text() const {
  std::string text;
  for (const auto& [name, size] : axes_) text += (text.empty() ? "" : "/") + name + ":" + std::to_string(size);
  return text;
}

}  // namespace sheaf::bench
