#include "tests/engine/gradient_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/sample/batch.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf::test {

void check(const Case& what) {
  const Numbers expected = what.definition(what.inputs);
  Numbers d_out = to_double(random_floats(std::ssize(expected), 77, -1.0f, 1.0f));
  if (expected.size() == 1) d_out = {1.0};  // a loss
  const Outcome got = what.run(d_out);
  ASSERT_EQ(got.out.size(), expected.size());
  const auto largest_of = [](const Numbers& x) {
    double largest = 0;
    for (const double v : x) largest = std::max(largest, std::abs(v));
    return largest;
  };
  const double out_scale = std::max(1.0, largest_of(expected));
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(got.out[i], expected[i], what.tolerance * out_scale) << "output " << i;
  }
  const auto scalar = [&](const Named& at) {
    const Numbers out = what.definition(at);
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += d_out[i] * out[i];
    return sum;
  };
  ASSERT_FALSE(got.gradients.empty());
  for (const auto& [name, gradient] : got.gradients) {
    ASSERT_EQ(gradient.size(), what.inputs.at(name).size()) << name;
    Numbers differences;
    const auto f = [&, key = name](const Numbers& values) {
      Named moved = what.inputs;
      moved[key] = values;
      return scalar(moved);
    };
    for (size_t i = 0; i < gradient.size(); ++i) {
      differences.push_back(central_difference(f, what.inputs.at(name), i, 1e-5));
    }
    const double scale = std::max(0.05, largest_of(differences));
    EXPECT_GT(largest_of(differences), 1e-3) << name << " changes nothing: the case tests nothing";
    for (size_t i = 0; i < gradient.size(); ++i) {
      ASSERT_NEAR(gradient[i], differences[i], what.tolerance * scale) << name << ", element " << i;
    }
  }
}

Numbers sums_of(const sheaf::HostCsr& bags, const Numbers& rows, int64_t dim) {
  Numbers out(static_cast<size_t>(bags.n_rows() * dim), 0.0);
  for (int64_t n = 0; n < bags.n_rows(); ++n) {
    for (int64_t e = bags.row_offsets[static_cast<size_t>(n)]; e < bags.row_offsets[static_cast<size_t>(n) + 1]; ++e) {
      const double weight = bags.values.empty() ? 1.0 : static_cast<double>(bags.values[static_cast<size_t>(e)]);
      const auto row = static_cast<size_t>(bags.columns[static_cast<size_t>(e)]);
      for (int64_t c = 0; c < dim; ++c) {
        out[static_cast<size_t>(n * dim + c)] += weight * rows[row * static_cast<size_t>(dim) + static_cast<size_t>(c)];
      }
    }
  }
  return out;
}

double Scored::logit(int64_t user, int64_t item) const {
  double sum = item_bias[static_cast<size_t>(item)];
  for (int64_t c = 0; c < dim; ++c) {
    sum += users[static_cast<size_t>(user * dim + c)] * items[static_cast<size_t>(item * dim + c)];
  }
  return sum;
}

double softmax_loss(const Scored& scored, const sheaf::HostCsr& targets) {
  double loss = 0.0;
  for (int64_t u = 0; u < targets.n_rows(); ++u) {
    double sum = 0.0;
    for (int64_t i = 0; i < targets.n_columns; ++i) sum += std::exp(scored.logit(u, i));
    for (int64_t e = targets.row_offsets[static_cast<size_t>(u)]; e < targets.row_offsets[static_cast<size_t>(u) + 1];
         ++e) {
      const double weight = targets.values.empty() ? 1.0 : static_cast<double>(targets.values[static_cast<size_t>(e)]);
      loss += weight * (std::log(sum) - scored.logit(u, targets.columns[static_cast<size_t>(e)]));
    }
  }
  return loss / static_cast<double>(targets.n_rows());
}

DrawnPairs drawn_pairs(Context& context, const Positives& positives, const TrainParams& params, const PairDraw& draw) {
  const int64_t group = params.negatives + 1;
  Buffer<int32_t> users(context, draw.n), items(context, draw.n * group);
  Buffer<float> weights(context, positives.weights.empty() ? 0 : draw.n);
  sample::batch(context, {.seed = params.seed,
                          .epoch = draw.round,
                          .first_position = draw.first,
                          .users = positives.users.view(),
                          .items = positives.items.view(),
                          .weights = positives.weights.view(),
                          .taken = positives.taken.view(),
                          .alias_threshold = positives.alias_threshold.view(),
                          .alias_item = positives.alias_item.view(),
                          .batch_users = users.view(),
                          .batch_items = items.matrix(draw.n, group),
                          .batch_weights = weights.view()});
  return {group, users.to_host(), items.to_host(), weights.to_host()};
}

double pair_loss(const Scored& scored, const DrawnPairs& pairs, const TrainParams& params) {
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  const bool pairwise = params.loss == LossKind::bpr;
  const auto group = static_cast<size_t>(pairs.group);
  double loss = 0.0;
  for (size_t b = 0; b < pairs.users.size(); ++b) {
    const double weight = pairs.weights.empty() ? 1.0 : static_cast<double>(pairs.weights[b]);
    const auto logit = [&](size_t g) { return scored.logit(pairs.users[b], pairs.items[b * group + g]); };
    double row = pairwise ? 0.0 : static_cast<double>(params.positive_weight) * softplus(-logit(0));
    for (size_t g = 1; g < group; ++g) row += softplus(pairwise ? logit(g) - logit(0) : logit(g));
    loss += weight * row;
  }
  return loss / static_cast<double>(pairs.users.size() * (pairwise ? group - 1 : group));
}

}  // namespace sheaf::test
