#include "tests/simt/api/warpgroup.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace simt {
namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kMaxPending = 64;  // products of one thread under way
constexpr int kDepth = 16, kColumns = 64, kResults = kColumns / 8 * 4;

struct Product {
  bool bf16, rows_of_b, accumulate;
  float* d;  // [kResults]
  uint64_t b;
  uint64_t a_descriptor;  // 0: a is in registers
  uint32_t a[4];
  unsigned group = 0;
  bool poisoned = false;  // d was poisoned by this product, and `before` is what it held
  float before[kResults] = {};
};

// Static, as the asynchronous copies are: what one fiber allocates and another one frees would count as a race.
struct Pending {
  uint64_t block_after;  // one more than the block's number
  bool fenced;
  unsigned n_committed;  // groups
  unsigned n_products;
  Product products[kMaxPending];
};
Pending pending_of_thread[kMaxThreads];

Pending& pending() {
  Pending& mine = pending_of_thread[thread_number()];
  if (mine.block_after != block_number() + 1) {
    mine.block_after = block_number() + 1;
    mine.fenced = false;
    mine.n_committed = mine.n_products = 0;
  }
  return mine;
}

double value_of(bool bf16, uint16_t bits) {
  return bf16 ? static_cast<double>(std::bit_cast<float>(uint32_t{bits} << 16))
              : static_cast<double>(std::bit_cast<_Float16>(bits));
}

/// Element (k, n) of an operand, where n is a column of B or a row of A. Offsets of the descriptor are in units of 16
/// bytes. Bits 62 and 63 are 1 for the swizzle of 128 bytes, which exchanges bits 4 to 6 of an address by its bits 7 to
/// 9.
double element_of(bool bf16, uint64_t descriptor, bool rows_are_k, unsigned k, unsigned n) {
  const auto field = [&](int at) { return static_cast<unsigned>(descriptor >> at & 0x3fff) * 16; };
  const unsigned start = field(0), leading = field(16), stride = field(32);
  const unsigned offset =
      rows_are_k ? n / 64 * leading + k / 8 * stride + k % 8 * 128 + n % 64 * 2 : n / 8 * stride + n % 8 * 128 + k * 2;
  const unsigned address = start + offset;
  uint16_t bits;
  std::memcpy(&bits, dynamic_shared() + (address ^ (address >> 3 & 0x70)), sizeof(bits));
  return value_of(bf16, bits);
}

/// The 16 rows of A of the calling lanes' warp.
void read_a(void* const operands[32], double (&a)[16][kDepth]) {
  const auto product_of = [&](unsigned lane) -> const Product& { return *static_cast<Product*>(operands[lane]); };
  const Product& first = product_of(0);
  if (first.a_descriptor != 0) {
    const unsigned row = thread_number() / 32 % 4 * 16;
    for (unsigned r = 0; r < 16; ++r) {
      for (unsigned k = 0; k < kDepth; ++k) a[r][k] = element_of(first.bf16, first.a_descriptor, true, k, row + r);
    }
    return;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned r = 0; r < 4; ++r) {
      for (unsigned i = 0; i < 2; ++i) {
        a[lane / 4 + r % 2 * 8][r / 2 * 8 + lane % 4 * 2 + i] =
            value_of(first.bf16, static_cast<uint16_t>(product_of(lane).a[r] >> 16 * i));
      }
    }
  }
}

void multiply(void* const operands[32], uint32_t) {
  const auto product_of = [&](unsigned lane) -> Product& { return *static_cast<Product*>(operands[lane]); };
  const Product& first = product_of(0);
  double b[kDepth][kColumns];
  for (unsigned k = 0; k < kDepth; ++k) {
    for (unsigned n = 0; n < kColumns; ++n) b[k][n] = element_of(first.bf16, first.b, first.rows_of_b, k, n);
  }
  double a[16][kDepth];
  read_a(operands, a);
  for (unsigned lane = 0; lane < 32; ++lane) {
    Product& mine = product_of(lane);
    if (mine.poisoned) std::memcpy(mine.d, mine.before, sizeof(mine.before));
    for (unsigned i = 0; i < kResults; ++i) {
      const unsigned row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      double sum = mine.accumulate ? static_cast<double>(mine.d[i]) : 0.0;
      for (unsigned k = 0; k < kDepth; ++k) sum += a[row][k] * b[k][column];
      mine.d[i] = static_cast<float>(sum);
    }
  }
}

const Collective kWarpgroupMultiply{"wgmma", false, false, multiply};

}  // namespace

void warpgroup_fence() { pending().fenced = true; }
void warpgroup_commit() { ++pending().n_committed; }

namespace {

/// Keeps the product for the wait that it is done at.
void begin(const Product& product, const Where& where) {
  Pending& mine = pending();
  if (!mine.fenced) fail("wgmma without wgmma.fence before it", where);
  if (product.b >> 62 != 1 || (product.a_descriptor != 0 && product.a_descriptor >> 62 != 1)) {
    fail("a matrix descriptor without the swizzle of 128 bytes", where);
  }
  if (mine.n_products == kMaxPending) fail("more products are under way than the executor keeps", where);
  Product& kept = mine.products[mine.n_products];
  kept = product;
  kept.group = mine.n_committed;
  kept.poisoned = true;
  for (unsigned p = 0; p < mine.n_products; ++p) {
    if (mine.products[p].d == kept.d) kept.poisoned = false;
  }
  if (kept.poisoned) {
    std::memcpy(kept.before, kept.d, sizeof(kept.before));
    for (int i = 0; i < kResults; ++i) kept.d[i] = std::numeric_limits<float>::quiet_NaN();
  }
  ++mine.n_products;
}

}  // namespace

void warpgroup_multiply(bool bf16, bool rows_of_b, float (&d)[8][4], const uint32_t (&a)[4], uint64_t b,
                        bool accumulate, const Where& where) {
  begin({bf16, rows_of_b, accumulate, &d[0][0], b, 0, {a[0], a[1], a[2], a[3]}}, where);
}

void warpgroup_multiply(bool bf16, float (&d)[8][4], uint64_t a, uint64_t b, bool accumulate, const Where& where) {
  begin({bf16, true, accumulate, &d[0][0], b, a, {}}, where);
}

void warpgroup_wait(unsigned n_groups, const Where& where) {
  Pending& mine = pending();
  unsigned done = 0;
  while (done < mine.n_products && mine.products[done].group + n_groups < mine.n_committed) {
    warp_exchange(kWarpgroupMultiply, 0xffffffffu, &mine.products[done++], where);
  }
  for (unsigned p = done; p < mine.n_products; ++p) mine.products[p - done] = mine.products[p];
  mine.n_products -= done;
  mine.fenced = false;
}

}  // namespace simt
