// What the model als promises beside what every model does: its vectors solve the equations of alternating least
// squares, in double precision.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"
#include "tests/reference/sparse.hpp"

namespace sheaf {
namespace {

constexpr int64_t kAlsUsers = test::Planted::n_users, kAlsItems = test::Planted::n_items;

test::HostCsr as_test_csr(const HostCsr& csr) {
  test::HostCsr out;
  out.row_offsets = csr.row_offsets;
  out.columns = csr.columns;
  out.values = csr.values;
  out.n_columns = csr.n_columns;
  return out;
}

/// The sum that the sweeps make less, in double.
double als_objective(const HostCsr& weights, bool binary, const std::vector<float>& users,
                     const std::vector<float>& items, int64_t dim, double l2, double alpha) {
  double sum = 0.0;
  for (const float x : users) sum += l2 * static_cast<double>(x) * static_cast<double>(x);
  for (const float y : items) sum += l2 * static_cast<double>(y) * static_cast<double>(y);
  for (int64_t u = 0; u < weights.n_rows(); ++u) {
    std::vector<double> w(static_cast<size_t>(weights.n_columns), 0.0);
    for (auto e = static_cast<size_t>(weights.row_offsets[static_cast<size_t>(u)]);
         e < static_cast<size_t>(weights.row_offsets[static_cast<size_t>(u) + 1]); ++e) {
      w[static_cast<size_t>(weights.columns[e])] = static_cast<double>(weights.values[e]);
    }
    for (int64_t i = 0; i < weights.n_columns; ++i) {
      double score = 0.0;
      for (int64_t k = 0; k < dim; ++k) {
        score += static_cast<double>(users[static_cast<size_t>(u * dim + k)]) *
                 static_cast<double>(items[static_cast<size_t>(i * dim + k)]);
      }
      const double is = w[static_cast<size_t>(i)], target = is > 0.0 && binary ? 1.0 : is;
      sum += (1.0 + alpha * is) * (target - score) * (target - score);
    }
  }
  return sum;
}

class AlsTest : public test::OpTest {
 protected:
  AlsTest() {
    const auto n = std::ssize(data_.purchases.train.columns);
    data_.purchases.train.values = test::random_floats(n, 70, 0.05f, 1.0f);
    for (const int32_t count : test::random_ints(n, 71, 1, 6)) counts_.push_back(static_cast<float>(count));
    data_.purchases.train_counts.values = counts_;
  }

  void SetUp() override {
    OpTest::SetUp();
    if (!IsSkipped()) alone_ = make_context(1);
  }

  std::unique_ptr<Recommender> fitted(const SettingValues& settings, const FitOptions& options = {}) {
    auto model = make_recommender("als");
    SettingValues all{{"als.dim", int64_t{6}}, {"als.l2", 2.0}, {"als.alpha", 4.0}, {"als.sweeps", int64_t{2}}};
    for (const auto& [name, value] : settings) all[name] = value;
    apply_settings(model->settings(), all);
    report_ = model->fit(*alone_, data_.view(), options);
    return model;
  }

  HostCsr weights(const std::string& of) const {
    HostCsr csr = data_.purchases.train;
    for (size_t e = 0; e < counts_.size(); ++e) {
      if (of == "one") csr.values[e] = 1.0f;
      if (of == "log") csr.values[e] = std::log1p(counts_[e]);
    }
    return csr;
  }

  /// The users of the model, and what the oracle makes of its items.
  void expect_users_solve(const Recommender& model, const HostCsr& w, bool binary, double l2) {
    const Tensors tensors(model.tensors());
    const int64_t dim = tensors.matrix_shape("users").second;
    const std::vector<float>& users = tensors.matrix("users", kAlsUsers, dim);
    const ref::BoundedRows expected = ref::als_solve(as_test_csr(w), binary ? std::vector<float>() : w.values,
                                                     tensors.matrix("items", kAlsItems, dim), dim, l2, 4.0);
    for (size_t at = 0; at < users.size(); ++at) {
      ASSERT_NEAR(users[at], expected.value[at], expected.bound[at]) << "place " << at << " of users of " << dim;
    }
  }

  std::unique_ptr<Context> alone_;  // one thread: the problems are small
  test::ModelData data_;
  std::vector<float> counts_;
  FitReport report_;
};

TEST_P(AlsTest, UsersSolveTheirEquationsUnderEverySetting) {
  for (const std::string weight : {"log", "one", "recency"}) {
    for (const std::string target : {"weight", "one"}) {
      SCOPED_TRACE(weight + ", " + target);
      const auto model = fitted({{"als.weight", weight}, {"als.target", target}});
      expect_users_solve(*model, weights(weight), target == "one", 2.0);
    }
  }
}

// Both sides at once. The data has two tastes, so two dimensions settle soon under a strong regularisation, which alone
// makes both sides equally long. Beyond the rounding of its own half sweep an item's vector has that of the users, of
// the same size.
TEST_P(AlsTest, ManySweepsEndAtAFixedPointOfBothEquations) {
  const auto model = fitted(
      {{"als.dim", int64_t{2}}, {"als.sweeps", int64_t{60}}, {"als.l2", 40.0}, {"als.weight", std::string("log")}});
  const HostCsr w = weights("log"), by_item = transpose(w);
  expect_users_solve(*model, w, false, 40.0);
  const Tensors tensors(model->tensors());
  const std::vector<float>& items = tensors.matrix("items", kAlsItems, 2);
  const ref::BoundedRows expected =
      ref::als_solve(as_test_csr(by_item), by_item.values, tensors.matrix("users", kAlsUsers, 2), 2, 40.0, 4.0);
  double largest = 0.0;
  for (const double value : expected.value) largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 0.1);
  for (size_t at = 0; at < items.size(); ++at) {
    ASSERT_NEAR(items[at], expected.value[at], 2.0 * expected.bound[at] + 1e-6 * largest) << "item " << at / 2;
  }
}

TEST_P(AlsTest, EverySweepLowersTheSum) {
  for (const std::string target : {"weight", "one"}) {
    double before = 1e300;
    for (const int64_t sweeps : {1, 2, 3, 5, 9}) {
      const auto model = fitted({{"als.sweeps", sweeps}, {"als.target", target}, {"als.weight", std::string("log")}});
      const Tensors tensors(model->tensors());
      const double now = als_objective(weights("log"), target == "one", tensors.matrix("users", kAlsUsers, 6),
                                       tensors.matrix("items", kAlsItems, 6), 6, 2.0, 4.0);
      EXPECT_LT(now, before) << target << ", " << sweeps;
      before = now;
    }
  }
}

TEST_P(AlsTest, StrangersWithAUsersPurchasesAreThatUser) {
  const auto model = fitted({{"als.weight", std::string("log")}});
  const HostCsr w = weights("log");
  const Tensors tensors(model->tensors());
  const std::vector<float>& items = tensors.matrix("items", kAlsItems, 6);
  const ref::BoundedRows users = ref::als_solve(as_test_csr(w), w.values, items, 6, 2.0, 4.0);
  const auto scorer = model->scorer(context());
  const auto scores = [&](const Queries& queries) {
    Buffer<float> out(context(), queries.n() * kAlsItems);
    scorer->all_scores(context(), queries, 0, out.matrix(queries.n(), kAlsItems));
    return out.to_host();
  };
  const std::vector<float> known = scores(Queries::everyone(context(), kAlsUsers));
  const std::vector<float> strangers = scores(Queries(context(), w));
  ASSERT_EQ(known.size(), strangers.size());
  for (size_t at = 0; at < known.size(); ++at) {
    const size_t u = at / kAlsItems, i = at % kAlsItems;
    double bound = 0.0;  // of the vectors, and of the sums of six products
    for (size_t k = 0; k < 6; ++k) {
      bound += (2.0 * users.bound[u * 6 + k] + 14.0 * test::kRound * std::abs(users.value[u * 6 + k])) *
               std::abs(static_cast<double>(items[i * 6 + k]));
    }
    ASSERT_NEAR(strangers[at], known[at], bound) << "user " << u << ", item " << i;
  }
  // A weight that is not positive is no purchase.
  const HostCsr one =
      csr_from_pairs(std::vector<int32_t>{0}, std::vector<int32_t>{3}, std::vector<float>{0.5f}, 1, kAlsItems);
  const HostCsr two = csr_from_pairs(std::vector<int32_t>{0, 0, 0}, std::vector<int32_t>{3, 4, 5},
                                     std::vector<float>{0.5f, 0.0f, -1.0f}, 1, kAlsItems);
  EXPECT_TRUE(test::same_bits(scores(Queries(context(), one)), scores(Queries(context(), two))));
}

TEST_P(AlsTest, ValidationChoosesRegularisationThenSweeps) {
  std::vector<int64_t> numbers;
  std::vector<std::string> tried;
  const FitOptions options{.on_epoch = [&](const EpochReport& epoch) {
    numbers.push_back(epoch.epoch);
    tried.push_back(epoch.what);
  }};
  const auto model = fitted({{"als.l2", 0.0}, {"als.sweeps", int64_t{0}}}, options);
  ASSERT_EQ(numbers.size(), report_.epochs.size());
  for (size_t e = 0; e < numbers.size(); ++e) EXPECT_EQ(numbers[e], static_cast<int64_t>(e) + 1);
  EXPECT_EQ(tried.front(), "als.l2 = 0.3");
  EXPECT_EQ(tried.back(), "als.sweeps = 20");
  ASSERT_EQ(report_.chosen.size(), 2u);
  const EpochReport& best = report_.epochs[static_cast<size_t>(report_.best_epoch) - 1];
  EXPECT_TRUE(best.best);
  EXPECT_EQ(best.what, "als.sweeps = " + std::to_string(static_cast<int64_t>(report_.chosen.at("sweeps"))));
  double highest = 0.0;
  for (const EpochReport& epoch : report_.epochs) {
    if (epoch.what.starts_with("als.sweeps")) highest = std::max(highest, epoch.validation_ndcg);
  }
  EXPECT_EQ(best.validation_ndcg, highest);
  // What was kept is that of the choice, not of the last try; and a fit that is told the choice makes the same.
  const std::vector<float> kept = test::float_values(*model);
  const FitOptions told{.chosen = report_.chosen};
  data_.purchases.validation.columns.clear();
  std::ranges::fill(data_.purchases.validation.row_offsets, 0);
  EXPECT_TRUE(test::same_bits(test::float_values(*fitted({{"als.l2", 0.0}, {"als.sweeps", int64_t{0}}}, told)), kept));
  EXPECT_EQ(report_.chosen, told.chosen);
}

TEST_P(AlsTest, RegularisationTooWeakForTheVectorsIsSaid) {
  // More dimensions than users: without regularisation the users' Gram matrix is singular.
  test::ModelData small;
  for (HostCsr* csr : {&small.purchases.train, &small.purchases.train_counts}) {
    csr->row_offsets.assign(static_cast<size_t>(kAlsUsers) + 1, 1);
    csr->row_offsets[0] = 0;
    csr->columns.assign(1, 0);
    csr->values.assign(1, 1.0f);
  }
  auto model = make_recommender("als");
  apply_settings(model->settings(), {{"als.dim", int64_t{8}}, {"als.l2", 1e-300}, {"als.sweeps", int64_t{3}}});
  EXPECT_THROW(model->fit(context(), small.view(), {}), DataError);
}

SHEAF_ON_EVERY_BACKEND(AlsTest);

}  // namespace
}  // namespace sheaf
