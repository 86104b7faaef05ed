#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/dot_scores.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

struct Case {
  ref::Batch shape;
  std::vector<float> users, items, user_bias, item_bias, bias, d_logits;
};

Case random_case(int64_t n_batch, int64_t group, int64_t dim) {
  return {{n_batch, group, dim},
          test::random_floats(n_batch * dim, 90),
          test::random_floats(n_batch * group * dim, 91),
          test::random_floats(n_batch, 92),
          test::random_floats(n_batch * group, 93),
          test::random_floats(1, 94),
          test::random_floats(n_batch * group, 95)};
}

std::vector<float> forward(Context& context, const Case& c) {
  const auto [n_batch, group, dim] = c.shape;
  const Buffer<float> users(context, c.users), items(context, c.items), user_bias(context, c.user_bias),
      item_bias(context, c.item_bias), bias(context, c.bias);
  test::Guarded<float> logits(context, n_batch * group);
  dense::dot_scores(context, {.users = users.matrix(n_batch, dim),
                              .items = items.matrix(n_batch * group, dim),
                              .user_bias = user_bias.view(),
                              .item_bias = item_bias.view(),
                              .bias = bias.view(),
                              .logits = logits.matrix(n_batch, group)});
  logits.expect_intact();
  return logits.to_host();
}

struct Gradients {
  std::vector<float> users, items, user_bias, bias;
  bool same_bits(const Gradients& other) const {
    return test::same_bits(users, other.users) && test::same_bits(items, other.items) &&
           test::same_bits(user_bias, other.user_bias) && test::same_bits(bias, other.bias);
  }
};

Gradients backward(Context& context, const Case& c) {
  const auto [n_batch, group, dim] = c.shape;
  const Buffer<float> users(context, c.users), items(context, c.items), d_logits(context, c.d_logits);
  test::Guarded<float> d_users(context, n_batch * dim), d_items(context, n_batch * group * dim),
      d_user_bias(context, n_batch), d_bias(context, 1);
  dense::dot_scores_backward(context, {.users = users.matrix(n_batch, dim),
                                       .items = items.matrix(n_batch * group, dim),
                                       .d_logits = d_logits.matrix(n_batch, group),
                                       .d_users = d_users.matrix(n_batch, dim),
                                       .d_items = d_items.matrix(n_batch * group, dim),
                                       .d_user_bias = d_user_bias.view(),
                                       .d_bias = d_bias.view()});
  d_users.expect_intact();
  d_items.expect_intact();
  d_user_bias.expect_intact();
  d_bias.expect_intact();
  return {d_users.to_host(), d_items.to_host(), d_user_bias.to_host(), d_bias.to_host()};
}

ref::Sums exact_forward(const Case& c, const std::vector<double>& users, const std::vector<double>& items) {
  return ref::dot_scores(c.shape, users, items, test::to_double(c.user_bias), test::to_double(c.item_bias), c.bias[0]);
}

// Float sums of as many terms as `expected` counts, in any order; partial sums only add fewer roundings.
void expect_near(const std::vector<float>& got, const ref::Sums& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected.value[i], expected.bound(i)) << what << ", element " << i;
  }
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << "batch " << c.shape.n_batch << ", group " << c.shape.group << ", dim "
                                  << c.shape.dim);
  const std::vector<double> users = test::to_double(c.users), items = test::to_double(c.items);
  expect_near(forward(context, c), exact_forward(c, users, items), "logits");
  const Gradients got = backward(context, c);
  const ref::DotGradients expected = ref::dot_scores_backward(c.shape, users, items, test::to_double(c.d_logits));
  expect_near(got.users, expected.users, "d_users");
  expect_near(got.items, expected.items, "d_items");
  expect_near(got.user_bias, expected.user_bias, "d_user_bias");
  expect_near(got.bias, expected.bias, "d_bias");
}

class DotScoresTest : public test::OpTest {};

TEST_P(DotScoresTest, AgreesWithOracle) {
  for (const int64_t n_batch : {0, 1, 7, 8, 9, 31, 33, 63, 64, 65, 255, 257}) {
    expect_right(context(), random_case(n_batch, 5, 12));
  }
  for (const int64_t dim : {0, 1, 3, 31, 32, 33, 255, 257}) expect_right(context(), random_case(6, 3, dim));
  for (const int64_t group : {0, 1, 2, 31, 33, 255}) expect_right(context(), random_case(4, group, 10));
}

TEST_P(DotScoresTest, ByHand) {
  const Case c{{2, 2, 2}, {1, 2, 3, 4}, {1, 0, 0, 1, 1, 1, 2, -1}, {10, 20}, {0.5f, 0, 0, 0.25f}, {100}, {1, 2, 4, 8}};
  EXPECT_EQ(forward(context(), c), (std::vector<float>{111.5f, 112, 127, 122.25f}));
  const Gradients d = backward(context(), c);
  EXPECT_EQ(d.users, (std::vector<float>{1, 2, 20, -4}));
  EXPECT_EQ(d.items, (std::vector<float>{1, 2, 2, 4, 12, 16, 24, 32}));
  EXPECT_EQ(d.user_bias, (std::vector<float>{3, 12}));
  EXPECT_EQ(d.bias, (std::vector<float>{15}));
}

TEST_P(DotScoresTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(5, 4, 7);
  const std::vector<double> users = test::to_double(c.users), items = test::to_double(c.items);
  const ref::DotGradients terms = ref::dot_scores_backward(c.shape, users, items, test::to_double(c.d_logits));
  const auto weighted = [&](const ref::Sums& logits) {
    return std::inner_product(logits.value.begin(), logits.value.end(), c.d_logits.begin(), 0.0);
  };
  // Linear in each argument: the difference errs only by double's rounding of a sum below 1000, over 2h: below 1e-9.
  constexpr double kStep = 0x1.0p-10, kSlack = 1e-9;
  const Gradients got = backward(context(), c);
  for (size_t i = 0; i < users.size(); ++i) {
    const auto f = [&](const std::vector<double>& x) { return weighted(exact_forward(c, x, items)); };
    EXPECT_NEAR(got.users[i], test::central_difference(f, users, i, kStep), terms.users.bound(i) + kSlack) << i;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const auto f = [&](const std::vector<double>& x) { return weighted(exact_forward(c, users, x)); };
    EXPECT_NEAR(got.items[i], test::central_difference(f, items, i, kStep), terms.items.bound(i) + kSlack) << i;
  }
  const std::vector<double> item_bias = test::to_double(c.item_bias);
  for (size_t i = 0; i < c.user_bias.size(); ++i) {
    const auto f = [&](const std::vector<double>& x) {
      return weighted(ref::dot_scores(c.shape, users, items, x, item_bias, c.bias[0]));
    };
    EXPECT_NEAR(got.user_bias[i], test::central_difference(f, test::to_double(c.user_bias), i, kStep),
                terms.user_bias.bound(i) + kSlack);
  }
  const auto f = [&](const std::vector<double>& x) {
    return weighted(ref::dot_scores(c.shape, users, items, test::to_double(c.user_bias), item_bias, x[0]));
  };
  EXPECT_NEAR(got.bias[0], test::central_difference(f, test::to_double(c.bias), 0, kStep),
              terms.bias.bound(0) + kSlack);
}

TEST_P(DotScoresTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(1025, 5, 33);
  const std::vector<float> logits = forward(context(), c);
  const Gradients gradients = backward(context(), c);
  for (const int threads : {1, 2, 3}) {
    const auto other = make_context(threads);
    EXPECT_TRUE(test::same_bits(forward(*other, c), logits)) << threads;
    EXPECT_TRUE(backward(*other, c).same_bits(gradients)) << threads;
  }
}

TEST_P(DotScoresTest, ForwardRefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 64);
  float* m = memory.data();
  const dense::DotScoresArgs good{{m, 2, 4}, {m, 6, 4}, {m, 2}, {m, 6}, {m, 1}, {m + 32, 2, 3}};
  EXPECT_NO_THROW(dense::dot_scores(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::DotScoresArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::dot_scores(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.users.rows = 3; });
  refuses([](auto& a) { a.users.cols = 3; });
  refuses([](auto& a) { a.items.rows = 5; });
  refuses([](auto& a) { a.items.cols = 5; });
  refuses([](auto& a) { a.user_bias.size = 1; });
  refuses([](auto& a) { a.item_bias.size = 2; });
  refuses([](auto& a) { a.bias.size = 0; });
}

TEST_P(DotScoresTest, BackwardRefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 128);
  float* m = memory.data();
  const dense::DotScoresBackwardArgs good{{m, 2, 4},      {m, 6, 4},   {m + 24, 2, 3}, {m + 32, 2, 4},
                                          {m + 40, 6, 4}, {m + 64, 2}, {m + 66, 1}};
  EXPECT_NO_THROW(dense::dot_scores_backward(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::DotScoresBackwardArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::dot_scores_backward(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.users.rows = 3; });
  refuses([](auto& a) { a.items.cols = 3; });
  refuses([](auto& a) { a.items.rows = 2; });
  refuses([](auto& a) { a.d_users.rows = 1; });
  refuses([](auto& a) { a.d_users.cols = 3; });
  refuses([](auto& a) { a.d_items.rows = 2; });
  refuses([](auto& a) { a.d_items.cols = 5; });
  refuses([](auto& a) { a.d_user_bias.size = 6; });
  refuses([](auto& a) { a.d_bias.size = 2; });
}

SHEAF_ON_EVERY_BACKEND(DotScoresTest);

}  // namespace
}  // namespace sheaf
