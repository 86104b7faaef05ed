#include "tests/simt/ready_queue.hpp"

#include <charconv>
#include <stdexcept>

namespace simt {

Order parse_order(const std::string& text) {
  if (text.empty() || text == "forward") return {};
  if (text == "reverse") return {Order::Kind::reverse, 0};
  const std::string prefix = "shuffle:";
  if (text.starts_with(prefix)) {
    Order order{Order::Kind::shuffle, 0};
    const char* end = text.data() + text.size();
    const auto [stop, status] = std::from_chars(text.data() + prefix.size(), end, order.seed);
    if (status == std::errc{} && stop == end) return order;
  }
  throw std::invalid_argument("SHEAF_SIMT_ORDER is '" + text + "'; use forward, reverse or shuffle:<seed>");
}

}  // namespace simt
