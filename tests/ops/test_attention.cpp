#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_tile.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/attention.hpp"

namespace sheaf {
namespace {

using attention::AttentionArgs;
using attention::AttentionBackwardArgs;
using ref::Arithmetic;
using ref::AttentionInputs;
using ref::AttentionProblem;
using ref::AttentionResults;

struct Case {
  std::vector<int64_t> lengths;
  int64_t n_heads = 1, n_kv_heads = 1, dim = 16;
  bool causal = true;
  Element element = Element::f32;
  bool allow_tf32 = false;
  double hidden = 0.0;       // share of keys hidden
  int64_t bias_columns = 0;  // of relative_bias
  float dropout = 0.0f;
  int64_t gap = 0;  // elements between the rows of two tokens
  int64_t first_sequence = 0;
  int64_t max_length = -1;  // -1: the longest
  attention::Products products = attention::Products::warps;
  bool backward = true;  // false: the forward pass alone
  bool gives_order = false;
};

constexpr RandomKey kKey{.seed = 41, .purpose = Purpose::dropout, .step = 9};

Arithmetic arithmetic_of(const Case& c) {
  if (c.element == Element::f16) return Arithmetic::f16;
  if (c.element == Element::bf16) return Arithmetic::bf16;
  return c.allow_tf32 ? Arithmetic::tf32 : Arithmetic::f32;
}

AttentionProblem problem_of(const Case& c) {
  AttentionProblem p{.n_heads = c.n_heads, .n_kv_heads = c.n_kv_heads, .dim = c.dim, .causal = c.causal};
  for (const int64_t length : c.lengths) p.offsets.push_back(p.offsets.back() + length);
  p.scale = static_cast<double>(static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.dim))));
  p.bias_columns = c.bias_columns;
  p.dropout = c.dropout;
  p.key = kKey;
  p.first_sequence = c.first_sequence;
  if (c.hidden > 0.0) {
    for (const float u : test::random_floats(p.n_tokens(), 7, 0.0f, 1.0f)) {
      p.key_keep.push_back(static_cast<double>(u) >= c.hidden ? 1 : 0);
    }
  }
  return p;
}

std::vector<double> stored(const std::vector<float>& values, Arithmetic arithmetic) {
  std::vector<double> rounded;
  for (const float x : values) rounded.push_back(ref::to_stored(static_cast<double>(x), arithmetic));
  return rounded;
}

AttentionInputs inputs_of(const AttentionProblem& p, Arithmetic arithmetic) {
  const int64_t n_q = p.n_tokens() * p.n_heads * p.dim, n_kv = p.n_tokens() * p.n_kv_heads * p.dim;
  return {.q = stored(test::random_floats(n_q, 1, -2.0f, 2.0f), arithmetic),
          .k = stored(test::random_floats(n_kv, 2, -2.0f, 2.0f), arithmetic),
          .v = stored(test::random_floats(n_kv, 3), arithmetic),
          .bias = stored(test::random_floats(p.n_heads * p.bias_columns, 4), Arithmetic::f32),
          .d_out = stored(test::random_floats(n_q, 5), arithmetic)};
}

/// A [n_tokens, n_heads, dim] tensor of any element type in memory with guards, rows `gap` elements apart.
class DeviceHeads {
 public:
  DeviceHeads(Context& context, const Case& c, int64_t n_tokens, int64_t n_heads)
      : element_(c.element),
        n_tokens_(n_tokens),
        n_heads_(n_heads),
        row_(n_heads * c.dim),
        stride_(row_ + c.gap),
        bytes_(context, n_tokens * stride_ * element_bytes(c.element)) {
    if (bytes_.size() > 0) context.fill_bytes(bytes_.data(), 0xff, static_cast<size_t>(bytes_.size()));
  }
  DeviceHeads(Context& context, const Case& c, int64_t n_tokens, int64_t n_heads, const std::vector<double>& values)
      : DeviceHeads(context, c, n_tokens, n_heads) {
    std::vector<uint8_t> host(static_cast<size_t>(bytes_.size()), 0xff);
    for (size_t e = 0; e < values.size(); ++e) {
      const auto x = static_cast<float>(values[e]);
      const size_t at = place(e);
      if (element_ == Element::f32) std::memcpy(&host[at], &x, 4);
      const uint16_t bits = element_ == Element::f16 ? nearest<Half>(x).bits : nearest<BFloat16>(x).bits;
      if (element_ != Element::f32) std::memcpy(&host[at], &bits, 2);
    }
    if (!host.empty()) context.copy_from_host(bytes_.data(), host.data(), host.size());
  }

  attention::Heads<const void> read() { return {bytes_.data(), n_heads_, stride_}; }
  attention::Heads<void> write() { return {bytes_.data(), n_heads_, stride_}; }

  std::vector<double> to_host() const {
    bytes_.expect_intact();
    const std::vector<uint8_t> host = bytes_.to_host();
    std::vector<double> values(static_cast<size_t>(n_tokens_ * row_));
    for (size_t e = 0; e < values.size(); ++e) {
      float x = 0.0f;
      uint16_t bits;
      std::memcpy(&bits, &host[place(e)], 2);
      if (element_ == Element::f32) std::memcpy(&x, &host[place(e)], 4);
      if (element_ == Element::f16) x = to_float(Half{bits});
      if (element_ == Element::bf16) x = to_float(BFloat16{bits});
      values[e] = static_cast<double>(x);
    }
    return values;
  }

 private:
  size_t place(size_t e) const {
    const auto at = static_cast<int64_t>(e);
    return static_cast<size_t>((at / row_ * stride_ + at % row_) * element_bytes(element_));
  }

  Element element_;
  int64_t n_tokens_, n_heads_, row_, stride_;
  test::Guarded<uint8_t> bytes_;
};

AttentionResults run(Context& context, const Case& c, const AttentionProblem& p, const AttentionInputs& in) {
  const int64_t n = p.n_tokens();
  const Buffer<int64_t> offsets(context, p.offsets);
  const Buffer<uint8_t> key_keep(context, p.key_keep);
  const Buffer<float> bias(context, std::vector<float>(in.bias.begin(), in.bias.end()));
  DeviceHeads q(context, c, n, p.n_heads, in.q), k(context, c, n, p.n_kv_heads, in.k),
      v(context, c, n, p.n_kv_heads, in.v), d_out(context, c, n, p.n_heads, in.d_out);
  DeviceHeads out(context, c, n, p.n_heads), d_q(context, c, n, p.n_heads), d_k(context, c, n, p.n_kv_heads),
      d_v(context, c, n, p.n_kv_heads);
  test::Guarded<float> log_sum_exp(context, n * p.n_heads), d_bias(context, p.n_heads * p.bias_columns);

  const int64_t longest = c.lengths.empty() ? 0 : *std::max_element(c.lengths.begin(), c.lengths.end());
  const int64_t max_length = c.max_length >= 0 ? c.max_length : longest;
  std::vector<int32_t> by_length, longer_than;
  if (c.gives_order) {
    for (size_t s = 0; s < c.lengths.size(); ++s) by_length.push_back(static_cast<int32_t>(s));
    std::ranges::stable_sort(by_length, std::ranges::greater{}, [&](int32_t s) { return c.lengths[size_t(s)]; });
    for (int64_t rows = 0; rows < max_length; rows += 16) {
      longer_than.push_back(
          static_cast<int32_t>(std::ranges::count_if(c.lengths, [&](int64_t length) { return length > rows; })));
    }
  }
  const Buffer<int32_t> order(context, by_length), reaching(context, longer_than);
  const attention::Shape shape{.element = c.element,
                               .n_tokens = n,
                               .dim = p.dim,
                               .offsets = offsets.view(),
                               .max_length = max_length,
                               .order = order.view(),
                               .reaching = reaching.view(),
                               .causal = p.causal,
                               .scale = static_cast<float>(p.scale),
                               .key_keep = key_keep.view(),
                               .relative_bias = bias.matrix(p.bias_columns > 0 ? p.n_heads : 0, p.bias_columns),
                               .dropout = p.dropout,
                               .key = p.key,
                               .first_sequence = p.first_sequence,
                               .allow_tf32 = c.allow_tf32};
  attention::attention(context, {.shape = shape,
                                 .q = q.read(),
                                 .k = k.read(),
                                 .v = v.read(),
                                 .out = out.write(),
                                 .log_sum_exp = log_sum_exp.matrix(n, p.n_heads),
                                 .products = c.products});
  if (!c.backward) {
    log_sum_exp.expect_intact();
    return {out.to_host(), test::to_double(log_sum_exp.to_host()), {}, {}, {}, {}};
  }
  attention::attention_backward(context,
                                {.shape = shape,
                                 .q = q.read(),
                                 .k = k.read(),
                                 .v = v.read(),
                                 .out = out.read(),
                                 .d_out = d_out.read(),
                                 .log_sum_exp = log_sum_exp.matrix(n, p.n_heads),
                                 .d_q = d_q.write(),
                                 .d_k = d_k.write(),
                                 .d_v = d_v.write(),
                                 .d_relative_bias = d_bias.matrix(p.bias_columns > 0 ? p.n_heads : 0, p.bias_columns),
                                 .products = c.products});
  log_sum_exp.expect_intact();
  d_bias.expect_intact();
  return {out.to_host(), test::to_double(log_sum_exp.to_host()), d_q.to_host(), d_k.to_host(),
          d_v.to_host(), test::to_double(d_bias.to_host())};
}

AttentionResults run(Context& context, const Case& c) {
  const AttentionProblem p = problem_of(c);
  return run(context, c, p, inputs_of(p, arithmetic_of(c)));
}

double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (const double x : values) most = std::max(most, std::isinf(x) ? 0.0 : std::abs(x));
  return most;
}

double largest_error(const std::vector<double>& got, const std::vector<double>& expected) {
  double most = got.size() == expected.size() ? 0.0 : INFINITY;
  for (size_t e = 0; e < got.size() && e < expected.size(); ++e) {
    if (got[e] == expected[e]) continue;
    const double error = std::abs(got[e] - expected[e]);
    most = std::isnan(error) ? INFINITY : std::max(most, error);
  }
  return most;
}

/// At most `factor` times the error of unfused arithmetic of the same type, both against double. Beside it a few
/// roundings of the largest result or of `term`, a typical term of a sum that may cancel: with one key, for example,
/// unfused arithmetic has no error at all. Float products made of three of tf32 are off by 2^-22 each.
void expect_near(const char* what, const std::vector<double>& got, const std::vector<double>& exact,
                 const std::vector<double>& unfused, double factor, double term, Arithmetic arithmetic) {
  const double unit = arithmetic == Arithmetic::f16    ? 0x1.0p-11
                      : arithmetic == Arithmetic::bf16 ? 0x1.0p-8
                      : arithmetic == Arithmetic::tf32 ? 0x1.0p-11
                                                       : 0x1.0p-21;
  const double limit = factor * largest_error(unfused, exact) + unit * std::max(largest(exact), term);
  EXPECT_LE(largest_error(got, exact), limit) << what << ", unfused " << largest_error(unfused, exact);
}

void expect_right(Context& context, const Case& c) {
  std::string lengths;
  for (const int64_t length : c.lengths) lengths += std::to_string(length) + " ";
  SCOPED_TRACE("lengths " + lengths + "heads " + std::to_string(c.n_heads) + "/" + std::to_string(c.n_kv_heads) +
               " dim " + std::to_string(c.dim) + (c.causal ? " causal" : " full") + " element " +
               std::to_string(static_cast<int>(c.element)) + (c.allow_tf32 ? " tf32" : "") + " dropout " +
               std::to_string(c.dropout) + " bias " + std::to_string(c.bias_columns) + " hidden " +
               std::to_string(c.hidden));
  const Arithmetic arithmetic = arithmetic_of(c);
  const AttentionProblem p = problem_of(c);
  const AttentionInputs in = inputs_of(p, arithmetic);
  const AttentionResults got = run(context, c, p, in), exact = ref::attention(p, in, Arithmetic::exact),
                         unfused = ref::attention(p, in, arithmetic);
  // d_x is the difference of two sums of dim products.
  const double d_x = std::sqrt(static_cast<double>(c.dim));
  expect_near("out", got.out, exact.out, unfused.out, 2.0, 0.0, arithmetic);
  expect_near("log_sum_exp", got.log_sum_exp, exact.log_sum_exp, unfused.log_sum_exp, 2.0, 1.0, arithmetic);
  if (!c.backward) return;
  expect_near("d_q", got.d_q, exact.d_q, unfused.d_q, 3.0, d_x * p.scale * largest(in.k), arithmetic);
  expect_near("d_k", got.d_k, exact.d_k, unfused.d_k, 3.0, d_x * p.scale * largest(in.q), arithmetic);
  expect_near("d_v", got.d_v, exact.d_v, unfused.d_v, 3.0, 0.0, arithmetic);
  expect_near("d_bias", got.d_bias, exact.d_bias, unfused.d_bias, 3.0, d_x, arithmetic);
}

class AttentionTest : public test::OpTest {};

const std::vector<int64_t> kMixed{3, 0, 17, 1, 16, 0, 20};

TEST_P(AttentionTest, AgreesWithOracleAtTileBorders) {
  for (const int64_t length : {1, 15, 16, 17, 20, 63, 64, 65, 127, 128, 129}) {
    expect_right(context(), {.lengths = {length}});
    expect_right(context(), {.lengths = {length}, .causal = false, .element = Element::bf16});
  }
}

TEST_P(AttentionTest, AgreesWithOracleForLongSequences) {
  expect_right(context(), {.lengths = {512}, .dim = 8, .element = Element::f16});
  expect_right(context(), {.lengths = {513}, .dim = 8, .causal = false});
}

TEST_P(AttentionTest, AgreesWithOracleForEveryElement) {
  for (const Element element : {Element::f32, Element::f16, Element::bf16}) {
    for (const bool causal : {false, true}) {
      expect_right(
          context(),
          {.lengths = {40, 9}, .n_heads = 2, .n_kv_heads = 2, .dim = 32, .causal = causal, .element = element});
    }
  }
  expect_right(context(), {.lengths = {40, 9}, .n_heads = 2, .n_kv_heads = 2, .dim = 32, .allow_tf32 = true});
}

TEST_P(AttentionTest, AgreesWithOracleForEveryDim) {
  for (const int64_t dim : {1, 7, 8, 13, 24, 33, 64, 65, 96, 100, 128}) {
    expect_right(context(), {.lengths = {21}, .dim = dim});
    expect_right(context(), {.lengths = {21}, .dim = dim, .element = Element::bf16});
  }
  for (const int64_t dim : {50, 128}) {
    expect_right(context(), {.lengths = {21}, .dim = dim, .element = Element::f16});
    expect_right(context(), {.lengths = {21}, .dim = dim, .allow_tf32 = true});
  }
  // Too long for one kernel to do the backward pass.
  for (const Element element : {Element::f16, Element::bf16}) {
    expect_right(context(), {.lengths = {130}, .dim = 40, .element = element});
  }
}

// Errors of dropped and hidden pairs would show at block borders only with more than one block of queries and of keys.
TEST_P(AttentionTest, AgreesWithOracleOverSeveralBlocks) {
  expect_right(context(), {.lengths = {260, 3, 131},
                           .n_heads = 2,
                           .element = Element::bf16,
                           .hidden = 0.1,
                           .bias_columns = 401,
                           .dropout = 0.2f});
}

// wgmma, where the device knows it.
TEST_P(AttentionTest, WarpgroupsAgreeWithOracle) {
  using attention::Products;
  for (const int64_t length : {1, 63, 64, 65, 129}) {
    expect_right(context(), {.lengths = {length}, .element = Element::bf16, .products = Products::warpgroups});
    expect_right(
        context(),
        {.lengths = {length}, .dim = 64, .causal = false, .element = Element::f16, .products = Products::warpgroups});
  }
  for (const int64_t dim : {7, 33, 64, 65, 100, 128}) {
    for (const Element element : {Element::f16, Element::bf16}) {
      expect_right(context(), {.lengths = {90, 3}, .dim = dim, .element = element, .products = Products::warpgroups});
    }
  }
  expect_right(context(), {.lengths = {260, 3, 131},
                           .n_heads = 2,
                           .dim = 40,
                           .element = Element::bf16,
                           .hidden = 0.1,
                           .bias_columns = 401,
                           .dropout = 0.2f,
                           .products = Products::warpgroups});
  expect_right(context(), {.lengths = {70, 0, 140},
                           .n_heads = 4,
                           .n_kv_heads = 2,
                           .dim = 72,
                           .causal = false,
                           .element = Element::f16,
                           .hidden = 0.9,
                           .gap = 24,
                           .products = Products::warpgroups});
}

// The kernel of all gradients: one to four tiles of queries, the last step of a sequence beside the first of the next.
TEST_P(AttentionTest, WarpgroupsGiveTheGradientsOfWholeSequences) {
  using attention::Products;
  for (const bool causal : {true, false}) {
    expect_right(context(), {.lengths = {64, 128, 1, 130, 0, 193, 65, 192, 20, 257},
                             .dim = 24,
                             .causal = causal,
                             .element = causal ? Element::f16 : Element::bf16,
                             .products = Products::warpgroups});
    expect_right(context(), {.lengths = {260, 40, 140},
                             .n_heads = 2,
                             .n_kv_heads = 2,
                             .dim = 40,
                             .causal = causal,
                             .element = Element::bf16,
                             .hidden = 0.3,
                             .dropout = 0.2f,
                             .gap = 6,
                             .first_sequence = 70,
                             .products = Products::warpgroups});
  }
  expect_right(context(), {.lengths = {512}, .dim = 33, .element = Element::f16, .products = Products::warpgroups});
}

// For NaN it does not matter which kernel computes. The rows of the next sequence, behind a sequence's end, must not be
// read.
TEST_P(AttentionTest, WarpgroupsKeepNanInItsSequence) {
  const Case c{.lengths = {70, 90}, .dim = 64, .element = Element::bf16, .products = attention::Products::warpgroups};
  const AttentionProblem p = problem_of(c);
  AttentionInputs in = inputs_of(p, Arithmetic::bf16);
  for (auto* values : {&in.q, &in.k, &in.v, &in.d_out}) (*values)[static_cast<size_t>(70 * c.dim)] = NAN;
  const AttentionResults got = run(context(), c, p, in);
  for (const auto* values : {&got.out, &got.d_q, &got.d_k, &got.d_v}) {
    for (size_t e = 0; e < static_cast<size_t>(70 * c.dim); ++e) ASSERT_FALSE(std::isnan((*values)[e])) << e;
    EXPECT_TRUE(std::isnan((*values)[static_cast<size_t>(70 * c.dim)]));
  }
}

// Rows that TMA can copy, those of a projection's part among them, and rows moved off its alignment: the same bits.
TEST_P(AttentionTest, WarpgroupsCopyRowsOfAnyAlignment) {
  using attention::Products;
  std::vector<Case> cases;
  for (const int64_t length : {1, 63, 64, 65, 129}) {
    cases.push_back({.lengths = {length}, .element = Element::f16});
    cases.push_back({.lengths = {length, 5}, .dim = 72, .causal = false, .element = Element::bf16});
  }
  for (const int64_t dim : {8, 64, 128}) {
    cases.push_back({.lengths = {130, 0, 70, 3},
                     .n_heads = 4,
                     .n_kv_heads = 2,
                     .dim = dim,
                     .causal = dim != 64,
                     .element = Element::bf16,
                     .hidden = 0.3,
                     .bias_columns = 33,
                     .dropout = 0.2f});
  }
  // More tiles than are under way at a time; units of one tile, one after the other.
  std::vector<int64_t> lengths{330, 197};
  for (int64_t s = 0; s < 24; ++s) lengths.push_back(s * 29 % 67);
  for (const int64_t dim : {16, 80}) cases.push_back({.lengths = lengths, .dim = dim, .element = Element::f16});
#if defined(SHEAF_TSAN)
  cases.erase(cases.begin(), cases.begin() + 10);  // the executor's threads take a hundred times as long
#endif
  for (Case& c : cases) {
    c.products = Products::warpgroups;
    c.backward = false;
    expect_right(context(), c);
    const AttentionResults aligned = run(context(), c);
    for (const int64_t gap : {2 * c.dim, int64_t{4}, int64_t{1}}) {
      c.gap = gap;
      const AttentionResults moved = run(context(), c);
      EXPECT_TRUE(test::same_bits(aligned.out, moved.out)) << "dim " << c.dim << " gap " << gap;
      EXPECT_TRUE(test::same_bits(aligned.log_sum_exp, moved.log_sum_exp)) << "dim " << c.dim << " gap " << gap;
    }
  }
}

TEST_P(AttentionTest, TakesGroupedHeadsAndPartsOfAProjection) {
  expect_right(context(), {.lengths = kMixed, .n_heads = 6, .n_kv_heads = 2, .dim = 16, .gap = 5});
  expect_right(context(),
               {.lengths = kMixed, .n_heads = 4, .n_kv_heads = 1, .dim = 16, .element = Element::f16, .gap = 48});
}

TEST_P(AttentionTest, HidesKeysAndAddsABias) {
  for (const Element element : {Element::f32, Element::bf16}) {
    for (const int64_t columns : {1, 9, 65}) {
      expect_right(context(),
                   {.lengths = kMixed, .n_heads = 2, .element = element, .hidden = 0.3, .bias_columns = columns});
    }
    expect_right(context(), {.lengths = {70}, .causal = false, .element = element, .hidden = 0.5, .bias_columns = 31});
  }
}

TEST_P(AttentionTest, DropsTheSameForwardAndBackward) {
  for (const Element element : {Element::f32, Element::f16}) {
    expect_right(context(),
                 {.lengths = kMixed, .n_heads = 2, .element = element, .dropout = 0.3f, .first_sequence = 1000});
    expect_right(
        context(),
        {.lengths = {130}, .causal = false, .element = element, .hidden = 0.1, .bias_columns = 5, .dropout = 0.5f});
  }
}

TEST_P(AttentionTest, RowsThatSeeNothingAreZero) {
  for (const Element element : {Element::f32, Element::f16, Element::bf16}) {
    const Case c{.lengths = kMixed, .causal = false, .element = element, .hidden = 1.0, .bias_columns = 3};
    const AttentionResults got = run(context(), c);
    for (const auto* values : {&got.out, &got.d_q, &got.d_k, &got.d_v, &got.d_bias}) {
      for (const double x : *values) EXPECT_EQ(x, 0.0);
    }
    for (const double x : got.log_sum_exp) EXPECT_EQ(x, -INFINITY);
  }
  expect_right(context(), {.lengths = {40}, .hidden = 0.9});
}

TEST_P(AttentionTest, NothingToDo) {
  expect_right(context(), {.lengths = {}});
  expect_right(context(), {.lengths = {0, 0}, .bias_columns = 3});
}

// The out of a row with v = e_j is its kept probability of j: what is dropped shows as zero.
TEST_P(AttentionTest, KeptFractionIsBinomial) {
  const int64_t length = 96;
  const Case c{.lengths = {length, length}, .dim = length, .causal = false, .dropout = 0.25f};
  const AttentionProblem p = problem_of(c);
  AttentionInputs in = inputs_of(p, Arithmetic::f32);
  for (size_t e = 0; e < in.v.size(); ++e)
    in.v[e] = static_cast<int64_t>(e) / length % length == static_cast<int64_t>(e) % length;
  const AttentionResults got = run(context(), c, p, in);
  int64_t n_kept = 0;
  for (size_t e = 0; e < got.out.size(); ++e) {
    const auto at = static_cast<int64_t>(e);
    EXPECT_EQ(got.out[e] != 0.0,
              ref::attention_keep(p, at / (length * length), 0, at / length % length, at % length) != 0.0);
    n_kept += got.out[e] != 0.0;
  }
  const double n = static_cast<double>(got.out.size()), deviation = std::sqrt(n * 0.25 * 0.75);
  EXPECT_LT(std::abs(static_cast<double>(n_kept) - 0.75 * n), 5.0 * deviation);
}

// The second half of a batch, as a batch of its own that knows where it begins, has the same dropout. So has one
// sequence among others.
TEST_P(AttentionTest, DropoutDoesNotDependOnTheBatch) {
  const Case whole{.lengths = {20, 33}, .n_heads = 2, .n_kv_heads = 2, .dropout = 0.4f, .first_sequence = 3};
  const AttentionProblem p = problem_of(whole);
  const AttentionInputs in = inputs_of(p, Arithmetic::f32);
  const AttentionResults both = run(context(), whole, p, in);
  const Case second{.lengths = {33}, .n_heads = 2, .n_kv_heads = 2, .dropout = 0.4f, .first_sequence = 4};
  const auto tail = [](const std::vector<double>& values) {
    return std::vector<double>(values.begin() + static_cast<std::ptrdiff_t>(values.size() / 53 * 20), values.end());
  };
  const AttentionResults alone =
      run(context(), second, problem_of(second), {tail(in.q), tail(in.k), tail(in.v), {}, tail(in.d_out)});
  EXPECT_EQ(tail(both.out), alone.out);
  EXPECT_EQ(tail(both.d_q), alone.d_q);
  EXPECT_EQ(tail(both.d_k), alone.d_k);
  EXPECT_EQ(tail(both.d_v), alone.d_v);
}

TEST_P(AttentionTest, SameBitsOnAnyNumberOfThreads) {
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < 40; ++s) lengths.push_back(s * 7 % 23);
  for (const Element element : {Element::f32, Element::bf16}) {
    const Case c{.lengths = lengths, .n_heads = 2, .dim = 8, .element = element, .bias_columns = 9, .dropout = 0.1f};
    const AttentionResults one = run(*make_context(1), c), three = run(*make_context(3), c);
    EXPECT_TRUE(test::same_bits(one.out, three.out));
    EXPECT_TRUE(test::same_bits(one.log_sum_exp, three.log_sum_exp));
    EXPECT_TRUE(test::same_bits(one.d_q, three.d_q));
    EXPECT_TRUE(test::same_bits(one.d_k, three.d_k));
    EXPECT_TRUE(test::same_bits(one.d_v, three.d_v));
    EXPECT_TRUE(test::same_bits(one.d_bias, three.d_bias));
  }
}

// The order of the sequences that layers and passes share, against the one that a call makes.
TEST_P(AttentionTest, AGivenOrderGivesTheSameBits) {
  const std::vector<int64_t> lengths{3, 0, 17, 1, 16, 0, 20, 17, 70, 140, 33};
  for (const attention::Products products : {attention::Products::warps, attention::Products::warpgroups}) {
    for (const Element element : {Element::f32, Element::bf16}) {
      for (const int64_t max_length : {int64_t{140}, int64_t{161}}) {
        Case c{.lengths = lengths,
               .n_heads = 2,
               .n_kv_heads = 2,
               .dim = 16,
               .causal = max_length == 140,
               .element = element,
               .dropout = 0.1f,
               .max_length = max_length,
               .products = products};
        const AttentionResults own = run(context(), c);
        c.gives_order = true;
        const AttentionResults given = run(context(), c);
        EXPECT_TRUE(test::same_bits(own.out, given.out));
        EXPECT_TRUE(test::same_bits(own.log_sum_exp, given.log_sum_exp));
        EXPECT_TRUE(test::same_bits(own.d_q, given.d_q));
        EXPECT_TRUE(test::same_bits(own.d_k, given.d_k));
        EXPECT_TRUE(test::same_bits(own.d_v, given.d_v));
      }
    }
  }
}

// NaN in one token's key reaches the rows that see it and no others.
TEST_P(AttentionTest, SpreadsNanToWhatDependsOnIt) {
  for (const Element element : {Element::f32, Element::bf16}) {
    const Case c{.lengths = {30}, .element = element};
    AttentionProblem p = problem_of(c);
    AttentionInputs in = inputs_of(p, arithmetic_of(c));
    in.k[static_cast<size_t>(10 * c.dim + 3)] = NAN;
    const AttentionResults got = run(context(), c, p, in);
    for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(std::isnan(got.out[static_cast<size_t>(i * c.dim)]), i >= 10) << i;
    p.key_keep.assign(30, 1);
    p.key_keep[10] = 0;
    const AttentionResults hidden = run(context(), c, p, in);
    for (const auto* values : {&hidden.out, &hidden.d_q, &hidden.d_k, &hidden.d_v}) {
      for (const double x : *values) EXPECT_FALSE(std::isnan(x));
    }
  }
}

// Tiles reach beyond a sequence's end, where the next one's keys and values lie, and over hidden keys.
TEST_P(AttentionTest, NanReachesNeitherOtherSequencesNorFromHiddenKeys) {
  using attention::Products;
  for (const Products products : {Products::warps, Products::warpgroups}) {
    for (const bool causal : {true, false}) {
      const Case c{.lengths = {70, 20, 30},
                   .n_heads = 2,
                   .n_kv_heads = 2,
                   .causal = causal,
                   .element = Element::bf16,
                   .products = products};
      AttentionProblem p = problem_of(c);
      p.key_keep.assign(120, 1);
      p.key_keep[7] = p.key_keep[69] = p.key_keep[100] = 0;
      AttentionInputs in = inputs_of(p, arithmetic_of(c));
      const AttentionResults clean = run(context(), c, p, in);
      const int64_t row = c.n_kv_heads * c.dim;
      const auto spoil = [&](int64_t token) {
        for (int64_t e = token * row; e < (token + 1) * row; ++e) {
          in.k[static_cast<size_t>(e)] = in.v[static_cast<size_t>(e)] = NAN;
        }
      };
      for (const int64_t hidden : {7, 69, 100}) spoil(hidden);
      for (int64_t token = 70; token < 90; ++token) spoil(token);
      const AttentionResults got = run(context(), c, p, in);
      for (const auto& [spoilt, whole] : {std::pair{&got.out, &clean.out}, std::pair{&got.d_q, &clean.d_q},
                                          std::pair{&got.d_k, &clean.d_k}, std::pair{&got.d_v, &clean.d_v}}) {
        for (size_t e = 0; e < whole->size(); ++e) {
          const auto token = static_cast<int64_t>(e) / row;
          const bool spoilt_sequence = token >= 70 && token < 90;
          ASSERT_TRUE(spoilt_sequence || (*spoilt)[e] == (*whole)[e]) << "token " << token;
        }
      }
    }
  }
}

TEST_P(AttentionTest, RejectsWrongShapes) {
  const AttentionProblem p = problem_of({.lengths = {4}});
  const AttentionInputs in = inputs_of(p, Arithmetic::f32);
  EXPECT_THROW(run(context(), {.lengths = {4}, .dim = 129}), UsageError);
  EXPECT_THROW(run(context(), {.lengths = {4}, .n_heads = 3, .n_kv_heads = 2}), UsageError);
  EXPECT_THROW(run(context(), {.lengths = {4}, .bias_columns = 4}), UsageError);
  EXPECT_THROW(run(context(), {.lengths = {4}, .dropout = 0.999f}), UsageError);
  const Buffer<int64_t> offsets(context(), std::vector<int64_t>{0, 4});
  const Buffer<int32_t> numbers(context(), std::vector<int32_t>{0, 1});
  for (const int64_t n : {0, 2}) {  // one row of 16 is reached, and there is one sequence
    attention::AttentionArgs args;
    args.shape.dim = args.shape.max_length = 4;
    args.shape.offsets = offsets.view();
    args.shape.order = numbers.view().subview(0, n == 0 ? 1 : 2);
    args.shape.reaching = numbers.view().subview(0, n == 0 ? 0 : 1);
    args.q.n_heads = args.k.n_heads = 1;
    EXPECT_THROW(attention::attention(context(), args), UsageError);
  }
  if (context().on_cpu()) {
    EXPECT_THROW(run(context(), {.lengths = {4}, .max_length = 3}), UsageError);
  }
}

SHEAF_ON_EVERY_BACKEND(AttentionTest);

// The CPU's inner loops for each instruction set that this machine has.
TEST(AttentionTiles, EveryInstructionSetAgreesWithOracle) {
  Context context({}, {.n_threads = 2, .poison_memory = true});
  const attention::cpu::TileKernel* kernels[3];
  const int32_t n = attention::cpu::usable_tile_kernels(kernels, 3);
  for (int32_t i = 0; i < n; ++i) {
    setenv("SHEAF_ATTENTION", kernels[i]->name, 1);
    EXPECT_EQ(&attention::cpu::tile_kernel(), kernels[i]);
    for (const int64_t length : {1, 7, 8, 9, 33, 63, 64, 65, 130}) {
      expect_right(context, {.lengths = {length, 5}, .dim = 20});
      expect_right(context, {.lengths = {length}, .dim = 16, .causal = false, .hidden = 0.2, .bias_columns = 9});
    }
    expect_right(context, {.lengths = {530}, .dim = 8, .bias_columns = 33, .dropout = 0.1f});
  }
  setenv("SHEAF_ATTENTION", "abacus", 1);
  EXPECT_THROW(attention::cpu::tile_kernel(), UsageError);
  unsetenv("SHEAF_ATTENTION");
}

// The oracle itself: its gradients are those of sum(d_out * out).
TEST(AttentionOracle, GradientsAreCentralDifferences) {
  for (const bool causal : {false, true}) {
    const Case c{.lengths = {4, 1, 6},
                 .n_heads = 2,
                 .dim = 3,
                 .causal = causal,
                 .hidden = 0.2,
                 .bias_columns = 5,
                 .dropout = 0.25f};
    const AttentionProblem p = problem_of(c);
    const AttentionInputs in = inputs_of(p, Arithmetic::f32);
    const AttentionResults exact = ref::attention(p, in, Arithmetic::exact);
    const auto expect_gradient = [&](std::vector<double> AttentionInputs::*input, const std::vector<double>& gradient) {
      const auto loss = [&](const std::vector<double>& x) {
        AttentionInputs moved = in;
        moved.*input = x;
        const std::vector<double> out = ref::attention(p, moved, Arithmetic::exact).out;
        double sum = 0.0;
        for (size_t e = 0; e < out.size(); ++e) sum += out[e] * in.d_out[e];
        return sum;
      };
      ASSERT_EQ(gradient.size(), (in.*input).size());
      for (size_t e = 0; e < gradient.size(); ++e) {
        // h^2 times a third derivative of order 10 and a few roundings over h.
        EXPECT_NEAR(test::central_difference(loss, in.*input, e, 1e-5), gradient[e], 1e-8);
      }
    };
    expect_gradient(&AttentionInputs::q, exact.d_q);
    expect_gradient(&AttentionInputs::k, exact.d_k);
    expect_gradient(&AttentionInputs::v, exact.d_v);
    expect_gradient(&AttentionInputs::bias, exact.d_bias);
  }
}

}  // namespace
}  // namespace sheaf
