#include "tests/simt/warp.hpp"

#include <algorithm>
#include <bit>

namespace simt {
namespace {

uint32_t combine(WarpOp op, uint32_t a, uint32_t b) {
  const auto signed_a = static_cast<int32_t>(a);
  const auto signed_b = static_cast<int32_t>(b);
  switch (op) {
    case WarpOp::add: return a + b;
    case WarpOp::min_signed: return static_cast<uint32_t>(std::min(signed_a, signed_b));
    case WarpOp::max_signed: return static_cast<uint32_t>(std::max(signed_a, signed_b));
    case WarpOp::min_unsigned: return std::min(a, b);
    case WarpOp::max_unsigned: return std::max(a, b);
    case WarpOp::conjunction: return a & b;
    case WarpOp::disjunction: return a | b;
    default: return a ^ b;
  }
}

}  // namespace

const char* name_of(WarpOp op) {
  switch (op) {
    case WarpOp::sync: return "__syncwarp";
    case WarpOp::vote: return "vote";
    case WarpOp::shuffle: return "shuffle";
    case WarpOp::match: return "match";
    default: return "warp reduction";
  }
}

void compute(Warp& warp, uint32_t lanes) {
  const auto first = static_cast<unsigned>(std::countr_zero(lanes));
  const WarpOp op = warp.lanes[first].op;
  if (op == WarpOp::sync) return;
  uint64_t whole = op == WarpOp::vote ? 0 : warp.lanes[first].value;
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    const auto lane_number = static_cast<unsigned>(std::countr_zero(rest));
    Lane& lane = warp.lanes[lane_number];
    if (op == WarpOp::vote) {
      whole |= uint64_t{lane.value != 0} << lane_number;
    } else if (op == WarpOp::shuffle) {
      lane.result = warp.lanes[lane.source].value;
    } else if (op == WarpOp::match) {
      lane.result = 0;
      for (uint32_t others = lanes; others; others &= others - 1) {
        const auto other = static_cast<unsigned>(std::countr_zero(others));
        lane.result |= uint64_t{warp.lanes[other].value == lane.value} << other;
      }
    } else if (lane_number != first) {
      whole = combine(op, static_cast<uint32_t>(whole), static_cast<uint32_t>(lane.value));
    }
  }
  if (op == WarpOp::shuffle || op == WarpOp::match) return;
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    warp.lanes[static_cast<unsigned>(std::countr_zero(rest))].result = whole;
  }
}

}  // namespace simt
