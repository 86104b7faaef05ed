#include "tests/simt/api/collectives.hpp"

#include <algorithm>
#include <bit>

namespace simt {
namespace {

Operand& operand_of(void* const operands[32], unsigned lane) { return *static_cast<Operand*>(operands[lane]); }

/// visit(lane, operand) in ascending order.
template <class Visit>
void for_each(void* const operands[32], uint32_t lanes, const Visit& visit) {
  for (; lanes; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    visit(lane, operand_of(operands, lane));
  }
}

uint32_t combine(Reduction reduction, uint32_t a, uint32_t b) {
  const auto signed_a = static_cast<int32_t>(a);
  const auto signed_b = static_cast<int32_t>(b);
  switch (reduction) {
    case Reduction::add: return a + b;
    case Reduction::min_signed: return static_cast<uint32_t>(std::min(signed_a, signed_b));
    case Reduction::max_signed: return static_cast<uint32_t>(std::max(signed_a, signed_b));
    case Reduction::min_unsigned: return std::min(a, b);
    case Reduction::max_unsigned: return std::max(a, b);
    case Reduction::conjunction: return a & b;
    case Reduction::disjunction: return a | b;
    case Reduction::exclusive_or: return a ^ b;
  }
  return 0;
}

void vote(void* const operands[32], uint32_t lanes) {
  uint64_t ballot = 0;
  for_each(operands, lanes, [&](unsigned lane, Operand& mine) { ballot |= uint64_t{mine.value != 0} << lane; });
  for_each(operands, lanes, [&](unsigned, Operand& mine) { mine.result = ballot; });
}

void shuffle(void* const operands[32], uint32_t lanes) {
  for_each(operands, lanes, [&](unsigned, Operand& mine) { mine.result = operand_of(operands, mine.argument).value; });
}

void match(void* const operands[32], uint32_t lanes) {
  for_each(operands, lanes, [&](unsigned, Operand& mine) {
    mine.result = 0;
    for_each(operands, lanes, [&](unsigned other, const Operand& theirs) {
      mine.result |= uint64_t{theirs.value == mine.value} << other;
    });
  });
}

void reduce(void* const operands[32], uint32_t lanes) {
  const auto first = static_cast<unsigned>(std::countr_zero(lanes));
  const auto reduction = static_cast<Reduction>(operand_of(operands, first).argument);
  auto whole = static_cast<uint32_t>(operand_of(operands, first).value);
  for_each(operands, lanes & (lanes - 1), [&](unsigned, const Operand& theirs) {
    whole = combine(reduction, whole, static_cast<uint32_t>(theirs.value));
  });
  for_each(operands, lanes, [&](unsigned, Operand& mine) { mine.result = whole; });
}

}  // namespace

const Collective kSyncWarp{"__syncwarp", true, true, nullptr};
const Collective kVote{"vote", true, false, vote};
const Collective kShuffle{"shuffle", false, false, shuffle};
const Collective kMatch{"match", false, false, match};
const Collective kReduce{"warp reduction", false, false, reduce};

}  // namespace simt
