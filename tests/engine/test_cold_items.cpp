// Items that nobody bought in the training period: their vectors are the ridge regression of the others' on the
// features, in double precision, and every model with item vectors ranks them by it.

#include "engine/models/cold_items.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/data/item_features.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

constexpr double kStrengths[] = {0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0};  // 0: no weights at all

/// Solves a x = b by Gaussian elimination; a is symmetric positive definite.
std::vector<double> solved(std::vector<double> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    for (size_t r = k + 1; r < n; ++r) {
      const double factor = a[r * n + k] / a[k * n + k];
      for (size_t c = k; c < n; ++c) a[r * n + c] -= factor * a[k * n + c];
      b[r] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t c = k + 1; c < n; ++c) b[k] -= a[k * n + c] * b[c];
    b[k] /= a[k * n + k];
  }
  return b;
}

struct Ridge {
  std::vector<std::vector<double>> x;  // [n_items][n_columns]
  std::vector<double> weight;          // [n_items] w
  std::vector<double> y;               // [n_items]
  double trace = 0.0;                  // of the last equations, without the strength

  /// For every item what the items `from` say, with this strength.
  std::vector<double> predicted(const std::vector<size_t>& from, double strength) {
    const size_t n = x.front().size();
    std::vector<double> mean(n, 0.0);
    double total = 0.0, constant = 0.0;
    for (const size_t i : from) {
      total += weight[i];
      constant += weight[i] * y[i];
      for (size_t c = 0; c < n; ++c) mean[c] += weight[i] * x[i][c];
    }
    for (double& m : mean) m /= total;
    constant /= total;
    std::vector<double> gram(n * n, 0.0), right(n, 0.0), b(n, 0.0);
    for (const size_t i : from) {
      for (size_t r = 0; r < n; ++r) {
        right[r] += weight[i] * (x[i][r] - mean[r]) * (y[i] - constant);
        for (size_t c = 0; c < n; ++c) gram[r * n + c] += weight[i] * (x[i][r] - mean[r]) * (x[i][c] - mean[c]);
      }
    }
    trace = 0.0;
    for (size_t r = 0; r < n; ++r) {
      trace += gram[r * n + r];
      gram[r * n + r] += strength;
    }
    if (strength > 0.0) b = solved(gram, right);
    std::vector<double> out;
    for (const auto& row : x) {
      double sum = constant;
      for (size_t c = 0; c < n; ++c) sum += (row[c] - mean[c]) * b[c];
      out.push_back(sum);
    }
    return out;
  }
};

/// Item i has purchases of 3 i % 20 users: of none where i is a multiple of 20.
HostCsr purchases_of(int64_t n_items) {
  std::vector<int32_t> users, items;
  for (int32_t i = 0; i < n_items; ++i) {
    for (int32_t u = 0; u < 3 * i % 20; ++u) {
      users.push_back(u);
      items.push_back(i);
    }
  }
  return csr_from_pairs(users, items, {}, 20, n_items);
}

/// 60 items with a field of three values, of which value 2 is that of item 7 alone, two numbers and a vector.
Catalog described_catalog() {
  constexpr int64_t n = 60;
  Catalog catalog = test::plain_catalog(n);
  ItemField field{"kind", 3, {}};
  for (int64_t i = 0; i < n; ++i) field.codes.push_back(i == 7 ? 2 : static_cast<int32_t>(i / 3 % 2));
  catalog.fields.push_back(field);
  catalog.numbers = {2, test::random_floats(2 * n, 31)};
  catalog.vectors = {3, test::random_floats(3 * n, 32)};
  catalog.numbers.values[0] = 0.0f;  // missing, of a cold item
  return catalog;
}

class ColdItemsTest : public test::OpTest {};

TEST_P(ColdItemsTest, TheirRowsAreTheRidgeRegressionOfTheOthers) {
  const Catalog catalog = described_catalog();
  const HostCsr train = purchases_of(catalog.n_items);
  ColdItems cold(context(), catalog, train);
  EXPECT_EQ(cold.items(), (std::vector<int32_t>{0, 20, 40}));
  Ridge ridge;
  std::vector<size_t> warm, rest, held;
  for (int64_t i = 0; i < catalog.n_items; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto& [numbers, vectors] = std::pair{catalog.numbers.values, catalog.vectors.values};
    ridge.x.push_back({catalog.fields[0].codes[at] == 0 ? 1.0 : 0.0, catalog.fields[0].codes[at] == 1 ? 1.0 : 0.0});
    for (size_t c = 0; c < 2; ++c) ridge.x.back().push_back(static_cast<double>(numbers[2 * at + c]));
    for (size_t c = 0; c < 3; ++c) ridge.x.back().push_back(static_cast<double>(vectors[3 * at + c]));
    const auto n_users = static_cast<double>(3 * i % 20);
    ridge.weight.push_back(n_users / (n_users + 10.0));
    if (n_users == 0.0) continue;
    warm.push_back(at);
    const bool is_held = random_u32({0, Purpose::shuffle, 0}, static_cast<uint64_t>(i), 0) % 5 == 0;
    (is_held ? held : rest).push_back(at);
  }
  ASSERT_GT(held.size(), 5u);
  // What the features say much of, under little and much noise; what they say nothing of; and, without noise, what they
  // say the opposite of on the items held out.
  std::vector<double> kept;
  for (const double noise : {0.05, 3.0, 1e6, 0.0}) {
    SCOPED_TRACE(noise);
    constexpr size_t cols = 2;
    std::vector<float> rows = test::random_floats(catalog.n_items * cols + 4, 33, -1.0f, 1.0f);
    for (size_t i = 0; i < static_cast<size_t>(catalog.n_items); ++i) {
      for (size_t c = 0; c < cols; ++c) {
        float& value = rows[i * cols + c];
        const double sign = noise == 0.0 && std::ranges::find(held, i) != held.end() ? -1.0 : 1.0;
        value = static_cast<float>(noise * static_cast<double>(value) +
                                   sign * (2.0 * ridge.x[i][c] - 1.5 * ridge.x[i][3 + c]));
      }
    }
    const std::vector<float> before = rows;
    const auto column = [&](size_t c) {
      ridge.y.clear();
      for (size_t i = 0; i < ridge.x.size(); ++i) ridge.y.push_back(static_cast<double>(before[i * cols + c]));
    };
    double least = 0.0, strength = -1.0;
    for (const double tried : kStrengths) {
      double error = 0.0;
      for (size_t c = 0; c < cols; ++c) {
        column(c);
        const std::vector<double> y = ridge.predicted(rest, tried);
        for (const size_t i : held) error += ridge.weight[i] * (y[i] - ridge.y[i]) * (y[i] - ridge.y[i]);
      }
      if (strength >= 0.0 && error >= least) continue;
      least = error;
      strength = tried;
    }
    kept.push_back(strength);
    cold.fill(context(), rows, cols);
    double largest = 0.0;
    for (const float value : before) largest = std::max(largest, std::abs(static_cast<double>(value)));
    for (size_t c = 0; c < cols; ++c) {
      column(c);
      const std::vector<double> y = ridge.predicted(warm, strength);
      for (size_t i = 0; i < ridge.x.size(); ++i) {
        if (!std::ranges::binary_search(cold.items(), static_cast<int32_t>(i))) {
          EXPECT_EQ(rows[i * cols + c], before[i * cols + c]) << "not cold: " << i;
          continue;
        }
        // An inverse in float of n = 7 rows, by the bound of spd_inverse with a condition of at most
        // trace / strength + 1, then sums of 7.
        const double condition = strength > 0.0 ? ridge.trace / strength + 1.0 : 1.0;
        const double bound = 2 * 7 * test::kRound * 4.0 * condition * 7.0 * largest;
        EXPECT_NEAR(static_cast<double>(rows[i * cols + c]), y[i], bound) << i << ", " << c;
        EXPECT_NE(rows[i * cols + c], before[i * cols + c]);
      }
    }
    for (size_t at = before.size() - 4; at < before.size(); ++at) EXPECT_EQ(rows[at], before[at]) << "beyond the items";
  }
  EXPECT_LT(kept[0], kept[1]);
  EXPECT_EQ(kept[0], 1.0);
  EXPECT_EQ(kept[3], 0.0);
  EXPECT_GT(cold.explained(), 0.8);  // of the first
}

TEST_P(ColdItemsTest, WithoutFeaturesVectorsAreZeroAndBiasesStay) {
  const Catalog catalog = test::plain_catalog(60);
  ColdItems cold(context(), catalog, purchases_of(60));
  std::vector<float> rows(60 * 3, 2.5f);
  cold.fill(context(), rows, 3);
  for (size_t at = 0; at < rows.size(); ++at) EXPECT_EQ(rows[at], at / 3 % 20 == 0 ? 0.0f : 2.5f);
  Buffer<float> bias(context(), std::vector<float>(60, -1.0f));
  cold.fill_bias(context(), bias);
  EXPECT_EQ(bias.to_host(), std::vector<float>(60, -1.0f));
  std::string note;
  cold.note([&](const std::string& text) { note = text; });
  EXPECT_NE(note.find("3 items have no training purchases and no features"), std::string::npos) << note;
}

/// The planted tastes without the purchases of every fifth item.
struct ColdData {
  explicit ColdData(const Catalog& features) : catalog(features) {
    const auto strip = [](HostCsr& matrix) {
      HostCsr kept;
      kept.n_columns = matrix.n_columns;
      for (int64_t r = 0; r < matrix.n_rows(); ++r) {
        for (auto e = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
             e < static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
          if (matrix.columns[e] % 5 == 0) continue;
          kept.columns.push_back(matrix.columns[e]);
          if (!matrix.values.empty()) kept.values.push_back(matrix.values[e]);
        }
        kept.row_offsets.push_back(kept.nnz());
      }
      matrix = std::move(kept);
    };
    Purchases& p = planted.purchases;
    for (HostCsr* matrix : {&p.train, &p.train_counts, &p.validation, &p.train_baskets}) strip(*matrix);
    History history;
    for (int64_t u = 0; u < p.train_history.n_users(); ++u) {
      for (auto at = static_cast<size_t>(p.train_history.offsets[static_cast<size_t>(u)]);
           at < static_cast<size_t>(p.train_history.offsets[static_cast<size_t>(u) + 1]); ++at) {
        if (p.train_history.items[at] % 5 == 0) continue;
        history.items.push_back(p.train_history.items[at]);
        history.baskets.push_back(p.train_history.baskets[at]);
      }
      history.offsets.push_back(std::ssize(history.items));
    }
    p.train_history = std::move(history);
  }
  TrainData view() const { return {test::Planted::n_users, catalog, planted.purchases}; }

  test::ModelData planted;
  Catalog catalog;
};

/// The share of users and pairs of cold items, one of their taste and one of the other, in the right order; ties count
/// one half. Chance and popularity have one half.
double right_order(Context& context, const Recommender& model) {
  const auto scorer = model.scorer(context);
  constexpr int32_t n = test::Planted::n_items;
  std::vector<int32_t> items;
  for (int64_t u = 0; u < test::Planted::n_users; ++u) {
    for (int32_t i = 0; i < n; i += 5) items.push_back(i);
  }
  const std::vector<float> scores =
      pair_scores(context, *scorer, Queries::everyone(context, test::Planted::n_users), items, n / 5);
  double right = 0.0, all = 0.0;
  for (size_t u = 0; u < static_cast<size_t>(test::Planted::n_users); ++u) {
    for (size_t a = u % 2; a < n / 5; a += 2) {  // item 5 a has the taste a % 2
      for (size_t b = 1 - u % 2; b < n / 5; b += 2, ++all) {
        const float mine = scores[u * (n / 5) + a], other = scores[u * (n / 5) + b];
        right += mine > other ? 1.0 : mine == other ? 0.5 : 0.0;
      }
    }
  }
  return right / all;
}

constexpr const char* kWithVectors[] = {"factorization", "lightgcn", "als", "svd", "autoencoder", "sasrec", "gru"};

std::unique_ptr<Recommender> learned(Context& context, const char* name, const TrainData& data, bool item_features) {
  auto model = test::quick_model(name);
  const std::string_view is = name;
  const int64_t epochs = is == "autoencoder" ? 40 : is == "sasrec" || is == "gru" ? 8 : 20;
  apply_settings(model->settings(), {{"model.epochs", epochs},
                                     {"model.patience", int64_t{0}},
                                     {"model.learning_rate", 0.05},
                                     {"model.item_features", item_features}});
  model->fit(context, data, {});
  return model;
}

/// The vectors of cold items are what the regression of the others' says, whatever rows they are the sum of.
void expect_described(Context& context, const Recommender& model, const TrainData& data) {
  const Vectors vectors = model.item_vectors(context);
  const std::vector<float> found = vectors.values.to_host();
  std::vector<float> said = found;
  ColdItems cold(context, data.catalog, data.purchases.train);
  cold.fill(context, said, vectors.dim);
  double largest = 0.0;
  for (const float value : found) largest = std::max(largest, std::abs(static_cast<double>(value)));
  // The own row is what is left of a sum of two, each at most some times as large as the sum.
  for (size_t at = 0; at < said.size(); ++at) {
    EXPECT_NEAR(found[at], said[at], 64.0 * test::kRound * largest) << model.name() << ", " << at;
  }
}

/// The taste of an item as a field, as a number, and as a vector.
std::vector<Catalog> described_by_taste() {
  std::vector<Catalog> catalogs(3, test::plain_catalog(test::Planted::n_items));
  catalogs[0].fields.push_back({"taste", 2, {}});
  catalogs[1].numbers.n = 1;
  catalogs[2].vectors.n = 2;
  for (int32_t i = 0; i < test::Planted::n_items; ++i) {
    catalogs[0].fields[0].codes.push_back(i % 2);
    catalogs[1].numbers.values.push_back(i % 2 == 0 ? 1.0f : -1.0f);
    catalogs[2].vectors.values.insert(catalogs[2].vectors.values.end(), {0.6f, i % 2 == 0 ? 0.8f : -0.8f});
  }
  return catalogs;
}

TEST_P(ColdItemsTest, EveryModelWithVectorsRanksThemByTheirFeatures) {
  const auto alone = make_context(1);  // threads would wait for each other longer than they compute
  const std::vector<Catalog> catalogs = described_by_taste();
  for (const char* name : kWithVectors) {
    SCOPED_TRACE(name);
    if (!alone->on_cpu() && name != std::string("als") && name != std::string("svd")) continue;  // takes too long
    for (size_t c = 0; c < catalogs.size(); ++c) {
      if (c > 0 && name != std::string("factorization") && name != std::string("als")) continue;
      const ColdData data(catalogs[c]);
      const auto model = learned(*alone, name, data.view(), false);
      EXPECT_GT(right_order(*alone, *model), 0.85) << c;
      expect_described(*alone, *model, data.view());
    }
    const ColdData nothing(test::plain_catalog(test::Planted::n_items));
    EXPECT_NEAR(right_order(*alone, *learned(*alone, name, nothing.view(), false)), 0.5, 0.1) << name;
  }
  for (const char* name : {"factorization", "lightgcn", "sasrec"}) {
    if (!alone->on_cpu()) continue;
    const ColdData data(catalogs[1]);
    const auto model = learned(*alone, name, data.view(), true);
    EXPECT_GT(right_order(*alone, *model), 0.85) << name << ", with its rows";
    expect_described(*alone, *model, data.view());
  }
}

/// Two attributes beside each other whose parity is the taste, and a third that says nothing. Neither of the first two
/// says anything alone.
Catalog described_by_neighbours() {
  Catalog catalog = test::plain_catalog(test::Planted::n_items);
  catalog.fields = {{"first", 2, {}}, {"second", 2, {}}, {"third", 3, {}}};
  for (int32_t i = 0; i < test::Planted::n_items; ++i) {
    const int32_t first = i / 2 % 2;
    catalog.fields[0].codes.push_back(first);
    catalog.fields[1].codes.push_back((first + i) % 2);
    catalog.fields[2].codes.push_back(i / 4 % 3);
  }
  return catalog;
}

TEST_P(ColdItemsTest, AConvolutionSpeaksForThemWhereNeighboursDecide) {
  const auto alone = make_context(1);
  const ColdData data(described_by_neighbours());
  const auto by = [&](const std::string& widths, const std::string& pooling) {
    auto model = test::quick_model("factorization");
    apply_settings(model->settings(), {{"model.epochs", int64_t{30}},
                                       {"model.validate_every", int64_t{30}},
                                       {"model.patience", int64_t{0}},
                                       {"model.learning_rate", 0.05},
                                       {"model.item_features", true},
                                       {"attribute_convolution.widths", widths},
                                       {"attribute_convolution.filters", int64_t{8}},
                                       {"attribute_convolution.channels", int64_t{4}},
                                       {"attribute_convolution.pooling", pooling}});
    model->fit(*alone, data.view(), {});
    return right_order(*alone, *model);
  };
  EXPECT_GT(by("2", "max"), 0.9);
  if (!alone->on_cpu()) return;  // takes too long
  EXPECT_NEAR(by("none", "max"), 0.5, 0.15);
  EXPECT_NEAR(by("1", "mean"), 0.5, 0.15) << "sums of single attributes";
  EXPECT_GT(by("1+2", "mean"), 0.9);
}

// The users' equations do not know the vectors that cold items take afterwards.
TEST_P(ColdItemsTest, AlsGivesStrangersTheVectorsOfKnownUsersAsBefore) {
  const ColdData data(described_by_taste()[0]);
  const auto model = learned(context(), "als", data.view(), false);
  const auto restored = test::quick_model("als");
  restored->set_size(model->n_users(), model->n_items());
  restored->restore(context(), Tensors(model->tensors()));
  for (const Recommender* one : {model.get(), restored.get()}) {
    const auto scorer = one->scorer(context());
    HostCsr weights = data.planted.purchases.train;
    const Queries strangers(context(), weights);
    std::vector<float> known(static_cast<size_t>(model->n_users() * model->n_items())), strange = known;
    Buffer<float> out(context(), std::ssize(known));
    scorer->all_scores(context(), Queries::everyone(context(), model->n_users()), 0,
                       out.matrix(model->n_users(), model->n_items()));
    known = out.to_host();
    scorer->all_scores(context(), strangers, 0, out.matrix(model->n_users(), model->n_items()));
    EXPECT_TRUE(test::same_bits(known, out.to_host()));
  }
  std::vector<NamedTensor> bad = model->tensors();
  std::get<std::vector<int32_t>>(bad.back().values).back() = test::Planted::n_items;
  EXPECT_THROW(restored->restore(context(), Tensors(bad)), DataError);
}

SHEAF_ON_EVERY_BACKEND(ColdItemsTest);

}  // namespace
}  // namespace sheaf
