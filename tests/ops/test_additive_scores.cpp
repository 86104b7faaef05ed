#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/additive_scores.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

struct Case {
  ref::Batch shape;
  std::vector<float> users, items, w_user, w_item, bias, d_logits;
};

Case random_case(int64_t n_batch, int64_t group, int64_t dim) {
  return {{n_batch, group, dim},
          test::random_floats(n_batch * dim, 190),
          test::random_floats(n_batch * group * dim, 191),
          test::random_floats(dim, 192),
          test::random_floats(dim, 193),
          test::random_floats(1, 194),
          test::random_floats(n_batch * group, 195)};
}

std::vector<float> forward(Context& context, const Case& c) {
  const auto [n_batch, group, dim] = c.shape;
  const Buffer<float> users(context, c.users), items(context, c.items), w_user(context, c.w_user),
      w_item(context, c.w_item), bias(context, c.bias);
  test::Guarded<float> logits(context, n_batch * group);
  dense::additive_scores(context, {.users = users.matrix(n_batch, dim),
                                   .items = items.matrix(n_batch * group, dim),
                                   .w_user = w_user.view(),
                                   .w_item = w_item.view(),
                                   .bias = bias.view(),
                                   .logits = logits.matrix(n_batch, group)});
  logits.expect_intact();
  return logits.to_host();
}

struct Gradients {
  std::vector<float> users, items, w_user, w_item, bias;
  bool same_bits(const Gradients& other) const {
    return test::same_bits(users, other.users) && test::same_bits(items, other.items) &&
           test::same_bits(w_user, other.w_user) && test::same_bits(w_item, other.w_item) &&
           test::same_bits(bias, other.bias);
  }
};

Gradients backward(Context& context, const Case& c) {
  const auto [n_batch, group, dim] = c.shape;
  const Buffer<float> users(context, c.users), items(context, c.items), w_user(context, c.w_user),
      w_item(context, c.w_item), d_logits(context, c.d_logits);
  test::Guarded<float> d_users(context, n_batch * dim), d_items(context, n_batch * group * dim), d_w_user(context, dim),
      d_w_item(context, dim), d_bias(context, 1);
  dense::additive_scores_backward(context, {.users = users.matrix(n_batch, dim),
                                            .items = items.matrix(n_batch * group, dim),
                                            .w_user = w_user.view(),
                                            .w_item = w_item.view(),
                                            .d_logits = d_logits.matrix(n_batch, group),
                                            .d_users = d_users.matrix(n_batch, dim),
                                            .d_items = d_items.matrix(n_batch * group, dim),
                                            .d_w_user = d_w_user.view(),
                                            .d_w_item = d_w_item.view(),
                                            .d_bias = d_bias.view()});
  d_users.expect_intact();
  d_items.expect_intact();
  d_w_user.expect_intact();
  d_w_item.expect_intact();
  d_bias.expect_intact();
  return {d_users.to_host(), d_items.to_host(), d_w_user.to_host(), d_w_item.to_host(), d_bias.to_host()};
}

// A case in double precision, so that one argument at a time can be moved.
struct Exact {
  explicit Exact(const Case& c)
      : shape(c.shape),
        users(test::to_double(c.users)),
        items(test::to_double(c.items)),
        w_user(test::to_double(c.w_user)),
        w_item(test::to_double(c.w_item)),
        bias(test::to_double(c.bias)),
        d_logits(test::to_double(c.d_logits)) {}
  ref::Sums forward() const { return ref::additive_scores(shape, users, items, w_user, w_item, bias[0]); }
  ref::AdditiveGradients backward() const {
    return ref::additive_scores_backward(shape, users, items, w_user, w_item, d_logits);
  }
  ref::Batch shape;
  std::vector<double> users, items, w_user, w_item, bias, d_logits;
};

// Float sums of as many terms as `expected` counts, in any order; sums of partial sums only round less often.
void expect_near(const std::vector<float>& got, const ref::Sums& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected.value[i], expected.bound(i)) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << "batch " << c.shape.n_batch << ", group " << c.shape.group << ", dim "
                                  << c.shape.dim);
  const Exact exact(c);
  expect_near(forward(context, c), exact.forward(), "logits");
  const Gradients got = backward(context, c);
  const ref::AdditiveGradients expected = exact.backward();
  expect_near(got.users, expected.users, "d_users");
  expect_near(got.items, expected.items, "d_items");
  expect_near(got.w_user, expected.w_user, "d_w_user");
  expect_near(got.w_item, expected.w_item, "d_w_item");
  expect_near(got.bias, expected.bias, "d_bias");
}

class AdditiveScoresTest : public test::OpTest {};

TEST_P(AdditiveScoresTest, AgreesWithOracle) {
  for (const int64_t n_batch : {0, 1, 7, 8, 9, 31, 33, 63, 64, 65, 255, 257}) {
    expect_right(context(), random_case(n_batch, 5, 12));
  }
  for (const int64_t dim : {0, 1, 3, 31, 32, 33, 255, 257}) expect_right(context(), random_case(6, 3, dim));
  for (const int64_t group : {0, 1, 2, 31, 33, 255}) expect_right(context(), random_case(4, group, 10));
}

TEST_P(AdditiveScoresTest, ByHand) {
  const Case c{{2, 2, 2}, {1, 2, 3, 4}, {1, 0, 0, 1, 1, 1, 2, -1}, {10, 1}, {2, 3}, {0.5f}, {1, 2, 4, 8}};
  EXPECT_EQ(forward(context(), c), (std::vector<float>{14.5f, 15.5f, 39.5f, 35.5f}));
  const Gradients d = backward(context(), c);
  EXPECT_EQ(d.users, (std::vector<float>{30, 3, 120, 12}));
  EXPECT_EQ(d.items, (std::vector<float>{2, 3, 4, 6, 8, 12, 16, 24}));
  EXPECT_EQ(d.w_user, (std::vector<float>{39, 54}));
  EXPECT_EQ(d.w_item, (std::vector<float>{21, -2}));
  EXPECT_EQ(d.bias, (std::vector<float>{15}));
}

TEST_P(AdditiveScoresTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(5, 4, 7);
  const Exact exact(c);
  const ref::AdditiveGradients terms = exact.backward();
  const Gradients got = backward(context(), c);
  const auto check = [&](std::vector<double> Exact::*argument, const std::vector<float>& gradient,
                         const ref::Sums& sums, const char* what) {
    const auto f = [&](const std::vector<double>& x) {
      Exact moved = exact;
      moved.*argument = x;
      const ref::Sums logits = moved.forward();
      return std::inner_product(logits.value.begin(), logits.value.end(), exact.d_logits.begin(), 0.0);
    };
    for (size_t i = 0; i < gradient.size(); ++i) {
      // Linear in each argument: the difference errs only by double's rounding of a sum below 1000, over 2h: below
      // 1e-9.
      EXPECT_NEAR(gradient[i], test::central_difference(f, exact.*argument, i, 0x1.0p-10), sums.bound(i) + 1e-9)
          << what << ", element " << i;
    }
  };
  check(&Exact::users, got.users, terms.users, "d_users");
  check(&Exact::items, got.items, terms.items, "d_items");
  check(&Exact::w_user, got.w_user, terms.w_user, "d_w_user");
  check(&Exact::w_item, got.w_item, terms.w_item, "d_w_item");
  check(&Exact::bias, got.bias, terms.bias, "d_bias");
}

TEST_P(AdditiveScoresTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(1025, 5, 33);
  const std::vector<float> logits = forward(context(), c);
  const Gradients gradients = backward(context(), c);
  for (const int threads : {1, 2, 3}) {
    const auto other = make_context(threads);
    EXPECT_TRUE(test::same_bits(forward(*other, c), logits)) << threads;
    EXPECT_TRUE(backward(*other, c).same_bits(gradients)) << threads;
  }
}

TEST_P(AdditiveScoresTest, ForwardRefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 128);
  float* m = memory.data();
  const dense::AdditiveScoresArgs good{{m, 2, 4}, {m, 6, 4}, {m, 4}, {m, 4}, {m, 1}, {m + 64, 2, 3}};
  EXPECT_NO_THROW(dense::additive_scores(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::AdditiveScoresArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::additive_scores(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.users.rows = 3; });
  refuses([](auto& a) { a.items.rows = 5; });
  refuses([](auto& a) { a.users.cols = 3; });
  refuses([](auto& a) { a.items.cols = 5; });
  refuses([](auto& a) { a.w_user.size = 3; });
  refuses([](auto& a) { a.w_item.size = 5; });
  refuses([](auto& a) { a.bias.size = 2; });
  refuses([](auto& a) { a.items.cols = a.w_item.size = 3; });  // users and items of different dim
}

TEST_P(AdditiveScoresTest, BackwardRefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 256);
  float* m = memory.data();
  const dense::AdditiveScoresBackwardArgs good{{m, 2, 4},    {m, 6, 4},      {m, 4},         {m, 4},
                                               {m, 2, 3},    {m + 64, 2, 4}, {m + 96, 6, 4}, {m + 128, 4},
                                               {m + 132, 4}, {m + 136, 1}};
  EXPECT_NO_THROW(dense::additive_scores_backward(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::AdditiveScoresBackwardArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::additive_scores_backward(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.users.rows = 3; });
  refuses([](auto& a) { a.items.rows = 5; });
  refuses([](auto& a) { a.d_users.rows = 3; });
  refuses([](auto& a) { a.d_users.cols = 3; });
  refuses([](auto& a) { a.d_items.rows = 5; });
  refuses([](auto& a) { a.d_items.cols = 5; });
  refuses([](auto& a) { a.w_user.size = 3; });
  refuses([](auto& a) { a.w_item.size = 3; });
  refuses([](auto& a) { a.d_w_user.size = 3; });
  refuses([](auto& a) { a.d_w_item.size = 5; });
  refuses([](auto& a) { a.d_bias.size = 2; });
  refuses([](auto& a) { a.items.cols = a.d_items.cols = a.w_item.size = a.d_w_item.size = 3; });
}

SHEAF_ON_EVERY_BACKEND(AdditiveScoresTest);

}  // namespace
}  // namespace sheaf
