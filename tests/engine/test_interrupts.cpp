// Long work looks at the interrupt flag often: so a Ctrl-C ends it soon, whatever the size of the data. What is counted
// is looks, not time. Each piece of work runs once to the end and is then interrupted at looks spread over it.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/associate/graph_vectors.hpp"
#include "engine/associate/substitutes.hpp"
#include "engine/evaluate/baselines.hpp"
#include "engine/models/registry.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/spd_inverse.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kUsers = 600, kItems = 500, kDim = 16;

class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() {
    purchases_.train = csr(kUsers, 30, 1);
    purchases_.train.values.assign(purchases_.train.columns.size(), 1.0f);
    purchases_.train_counts = purchases_.train;
    purchases_.validation = csr(kUsers, 4, 2);
    std::vector<int32_t> baskets, items;  // ten purchases of a user are a basket
    for (int32_t u = 0; u < kUsers; ++u) {
      int n = 0;
      for (const int32_t item : purchases_.train.row(u)) {
        if (n++ % 10 == 0) {
          purchases_.train_basket_user.push_back(u);
          purchases_.train_basket_time.push_back(int64_t{86400} * (n + u % 7));
        }
        baskets.push_back(static_cast<int32_t>(purchases_.train_basket_user.size()) - 1);
        items.push_back(item);
        purchases_.train_history.items.push_back(item);
        purchases_.train_history.baskets.push_back(baskets.back());
      }
      purchases_.train_history.offsets.push_back(std::ssize(purchases_.train_history.items));
    }
    purchases_.train_baskets = csr_from_pairs(baskets, items, {}, std::ssize(purchases_.train_basket_user), kItems);
  }
  ~InterruptsTest() override { clear_interrupt(); }

  static HostCsr csr(int64_t n_rows, int64_t most, uint32_t seed) {
    HostCsr matrix = test::engine_csr(test::random_csr(n_rows, kItems, most, seed, false));
    matrix.values.clear();
    return matrix;
  }

  /// `least`: looks that the work must make, one for each small part of it.
  void expect_looks(const std::string& name, int64_t least, const std::function<void()>& work) {
    SCOPED_TRACE(name);
    constexpr int64_t kMany = int64_t{1} << 40;
    clear_interrupt();
    interrupt_after(kMany);
    ASSERT_NO_THROW(work());
    const int64_t looks = kMany - looks_left();
    EXPECT_GE(looks, least);
    for (const int64_t quarter : {1, 2, 3}) {
      clear_interrupt();
      interrupt_after(looks * quarter / 4);
      EXPECT_THROW(work(), Interrupted) << "at look " << looks * quarter / 4 << " of " << looks;
      // Each thread may look once more.
      EXPECT_GE(looks_left(), -2 * context_.n_threads()) << "it went on after the interrupt";
    }
    clear_interrupt();
  }
  void expect_fit_looks(const std::string& model, const std::string& loss, int64_t least) {
    expect_looks(model + " " + loss, least, [&] {
      SettingValues settings{{"model.dim", kDim},
                             {"model.epochs", int64_t{1}},
                             {"model.batch", int64_t{64}},
                             {"model.validate_every", int64_t{1}},
                             {"sasrec.max_length", int64_t{16}},
                             {"sasrec.batch", int64_t{32}},
                             {"gru.batch", int64_t{32}},
                             {"lstm.batch", int64_t{32}}};
      if (!loss.empty()) settings["model.loss"] = loss;
      const auto fitted = make_recommender(model);
      apply_settings(fitted->settings(), settings);
      fitted->fit(context_, {kUsers, catalog_, purchases_}, {});
    });
  }

  Context context_{Device{}, {.n_threads = 2}};
  Catalog catalog_ = test::plain_catalog(kItems);
  Purchases purchases_;
};

TEST_F(InterruptsTest, EveryModelWithEveryLoss) {
  const int64_t batches = purchases_.train.nnz() / 64;
  expect_fit_looks("factorization", "softmax", kUsers / 16 + kItems / 256);  // pieces of users and of items
  expect_fit_looks("factorization", "bpr", batches);
  expect_fit_looks("factorization", "bce", batches);
  expect_fit_looks("additive", "bpr", batches);
  expect_fit_looks("additive", "bce", batches);
  expect_fit_looks("sasrec", "softmax", kUsers / 32);
  expect_fit_looks("sasrec", "sampled_softmax", kUsers / 32);
  expect_fit_looks("lightgcn", "softmax", kUsers / 16 + kItems / 256);
  expect_fit_looks("lightgcn", "bpr", batches);
  expect_fit_looks("autoencoder", "softmax", kUsers / 128);
  expect_fit_looks("autoencoder", "bce", kUsers / 128);
  expect_fit_looks("gru", "softmax", kUsers / 32);
  expect_fit_looks("lstm", "sampled_softmax", kUsers / 32);
  expect_fit_looks("ease", "", 7 * (kItems / 128));                         // tries, panels of the inverse
  expect_fit_looks("personal", "", 8 * purchases_.train_baskets.n_rows());  // tries, baskets
  expect_fit_looks("item-knn", "", 4);                                      // tries
  expect_fit_looks("user-knn", "", 6);
}

TEST_F(InterruptsTest, TheLongStepsOfModels) {
  PairTables tables(context_, PairForm::dot, kUsers, kDim, identity_csr(kItems));
  tables.initialise(1);
  const auto epoch = make_softmax_epoch(context_, tables, purchases_.train, {});
  expect_looks("an epoch of the softmax", kUsers / 16 + kItems / 256, [&] { epoch->run(1); });
  std::vector<float> identity(static_cast<size_t>(kItems * kItems), 0.0f);
  for (int64_t i = 0; i < kItems; ++i) identity[static_cast<size_t>(i * kItems + i)] = 1.0f;
  expect_looks("the inverse of ease", kItems / 128 * (kItems / 128 + 1), [&] {
    Buffer<float> matrix(context_, identity);
    Buffer<int32_t> failed = Buffer<int32_t>::zeros(context_, 1);
    dense::spd_inverse(context_, {.matrix = matrix.matrix(kItems, kItems), .failed = failed.view()});
  });
}

TEST_F(InterruptsTest, ListsOfAllUsers) {
  for (const std::string& name : model_names()) {
    const auto model = make_recommender(name);
    SettingValues settings{{"model.dim", kDim},
                           {"model.epochs", int64_t{1}},
                           {"sasrec.max_length", int64_t{16}},
                           {"autoencoder.hidden", std::string("16")}};
    if (name == "additive") settings["model.loss"] = std::string("bpr");
    apply_settings(model->settings(), settings);
    model->fit(context_, {kUsers, catalog_, purchases_}, {});
    const auto scorer = model->scorer(context_);
    expect_looks(name + ", best items", kUsers / 64, [&] { top_items(context_, *scorer, nullptr, 10); });
    expect_looks(name + ", mean chances", 4,
                 [&] { scorer->mean_probability(context_, Queries::everyone(context_, kUsers)); });
  }
  expect_looks("baseline by neighbours", kUsers / 64,
               [&] { item_knn_lists(context_, purchases_.train, purchases_.train_counts, 20, 10.0, nullptr, 10); });
  expect_looks("baseline of own counts", 4,
               [&] { personal_count_lists(context_, purchases_.train, purchases_.train_counts, 10); });
}

TEST_F(InterruptsTest, Association) {
  const std::vector<float> vectors = test::random_floats(kItems * kDim, 3),
                           users = test::random_floats(kUsers * kDim, 4);
  const Buffer<float> items(context_, vectors), of_users(context_, users);
  const int64_t to_transpose = purchases_.train_baskets.n_rows();
  expect_looks("counted pairs", to_transpose + 2 * (kItems / 16),
               [&] { count_pairs(context_, purchases_.train_baskets, 1); });
  expect_looks("counted partners", to_transpose + 2 * (kItems / 16) + kItems / 64,
               [&] { counted_partners(context_, purchases_.train_baskets, 1, association::Measure::lift, 10, 0.0f); });
  expect_looks("learned partners", 8, [&] { cosine_partners(context_, items.matrix(kItems, kDim), 10, 1.0f, 0.0f); });
  expect_looks("vectors of the graph", 4, [&] {
    graph_vectors(context_, purchases_.train, of_users.matrix(kUsers, kDim), items.matrix(kItems, kDim), 2);
  });
  expect_looks("substitutes", kItems, [&] {
    relate_pairs(
        {purchases_.train_baskets, purchases_.train_basket_user, purchases_.train_basket_time, catalog_.category});
  });
}

}  // namespace
}  // namespace sheaf
