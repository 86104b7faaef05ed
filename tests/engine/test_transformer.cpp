#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "engine/layers/transformer.hpp"
#include "engine/models/sequence_step.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/engine/gradient_check.hpp"
#include "tests/engine/histories.hpp"
#include "tests/reference/attention.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf {
namespace {

using test::history_of;

// --- the loss by definition, in double -------------------------------------------------------------------------------

using Tables = std::map<std::string, std::vector<double>>;

/// What SASRec consists of.
struct Model {
  Model(Context& context, int64_t n_users, int64_t dim, const Catalog& catalog, bool item_features,
        const TransformerShape& transformer_shape)
      : tables(context, PairForm::items, n_users, dim, make_item_bags(catalog, item_features)),
        transformer(context, transformer_shape, dim) {}

  std::vector<Parameter*> parameters() {
    std::vector<Parameter*> all = tables.parameters();
    for (Parameter* p : transformer.parameters()) all.push_back(p);
    return all;
  }

  PairTables tables;
  Transformer transformer;
};

Tables tables_of(Model& model) {
  Tables tables;
  for (const Parameter* p : model.parameters()) tables[p->name] = test::to_double(p->value.to_host());
  return tables;
}

/// Shapes and bags, for the loss by definition.
struct Shapes {
  explicit Shapes(const Model& model)
      : n_items(model.tables.n_items()),
        dim(model.tables.dim()),
        item_bags(model.tables.host_item_bags()),
        transformer(model.transformer.shape()) {}
  int64_t n_items, dim;
  HostCsr item_bags;
  TransformerShape transformer;
};

struct Loss {
  const Shapes& state;
  const NextItems& next;
  DropoutDraw dropout;
  int64_t n_draws = 0;  // 0: the whole catalog

  std::vector<double> item_sums(const std::vector<double>& table, int64_t dim) const {
    return test::sums_of(state.item_bags, table, dim);
  }

  std::vector<double> states(const Tables& t, const std::vector<double>& items) const {
    const int64_t dim = state.dim, heads = state.transformer.heads;
    std::vector<double> sum, branch, normed;
    for (int64_t s = 0; s < next.n_sequences(); ++s) {
      for (int64_t p = 0; p < next.offsets[static_cast<size_t>(s) + 1] - next.offsets[static_cast<size_t>(s)]; ++p) {
        const int32_t item = next.items[static_cast<size_t>(next.offsets[static_cast<size_t>(s)] + p)];
        for (int64_t c = 0; c < dim; ++c) {
          const double user = state.transformer.user_rows == 0
                                  ? 0.0
                                  : t.at("users")[static_cast<size_t>(next.users[static_cast<size_t>(s)] * dim + c)];
          branch.push_back(items[static_cast<size_t>(item * dim + c)] +
                           t.at("positions")[static_cast<size_t>(p * dim + c)] + user);
        }
      }
    }
    int64_t site = 0;
    const auto norm = [&] {
      const std::string name = "norm." + std::to_string(site);
      const ref::Dropout drop{dropout.rate, {dropout.seed, Purpose::dropout, dropout.step}, site << 36};
      const ref::ResidualNorm out =
          ref::residual_norm(dim, branch, sum, t.at(name + ".weight"), t.at(name + ".bias"), drop);
      sum = out.sum;
      normed = out.normed.value;
      ++site;
    };
    norm();
    for (int64_t l = 0; l < state.transformer.layers; ++l) {
      const std::string layer = "layer." + std::to_string(l) + ".";
      const auto qkv = ref::linear(dim, normed, t.at(layer + "qkv"), t.at(layer + "qkv_bias")).value;
      ref::AttentionProblem problem;
      problem.n_heads = problem.n_kv_heads = heads;
      problem.dim = dim / heads;
      problem.offsets = next.offsets;
      problem.scale = static_cast<double>(1.0f / std::sqrt(static_cast<float>(dim / heads)));
      problem.dropout = dropout.rate;
      problem.key = {dropout.seed, Purpose::attention, dropout.step};
      problem.first_sequence = l << 24;
      branch = ref::linear(dim, ref::attention(problem, ref::split_heads(qkv, dim), ref::Arithmetic::exact).out,
                           t.at(layer + "out"), t.at(layer + "out_bias"))
                   .value;
      norm();
      auto inner = ref::linear(dim, normed, t.at(layer + "inner"), t.at(layer + "inner_bias")).value;
      for (double& x : inner) x = std::max(0.0, x);
      branch =
          ref::linear(state.transformer.feed_forward, inner, t.at(layer + "outer"), t.at(layer + "outer_bias")).value;
      norm();
    }
    return normed;
  }

  double operator()(const Tables& t) const {
    const int64_t dim = state.dim;
    const std::vector<double> items = item_sums(t.at("item_table"), dim), bias = item_sums(t.at("item_bias"), 1);
    const std::vector<double> h = states(t, items);
    std::vector<bool> is_target(static_cast<size_t>(state.n_items)), drawn(is_target.size(), n_draws == 0);
    for (const int32_t item : next.targets.columns) is_target[static_cast<size_t>(item)] = true;
    for (int64_t d = 0; d < n_draws; ++d) {
      const uint64_t draw = random_u32({dropout.seed, Purpose::negative, dropout.step}, static_cast<uint64_t>(d), 0);
      drawn[static_cast<size_t>(draw * static_cast<uint64_t>(state.n_items) >> 32)] = true;
    }
    const double chance = 1.0 - std::pow(1.0 - 1.0 / static_cast<double>(state.n_items), static_cast<double>(n_draws));
    double loss = 0;
    for (size_t q = 0; q < next.queries.size(); ++q) {
      std::vector<double> logits;
      double sum = 0;
      for (int64_t i = 0; i < state.n_items; ++i) {
        const auto item = static_cast<size_t>(i);
        double logit = bias[item];
        for (int64_t c = 0; c < dim; ++c) {
          logit += h[static_cast<size_t>(next.queries[q] * dim + c)] * items[static_cast<size_t>(i * dim + c)];
        }
        logits.push_back(logit);
        if (is_target[item] || drawn[item]) sum += std::exp(logit) / (n_draws > 0 && !is_target[item] ? chance : 1.0);
      }
      for (int64_t e = next.targets.row_offsets[q]; e < next.targets.row_offsets[q + 1]; ++e) {
        const auto item = static_cast<size_t>(next.targets.columns[static_cast<size_t>(e)]);
        loss += static_cast<double>(next.targets.values[static_cast<size_t>(e)]) * (std::log(sum) - logits[item]);
      }
    }
    return loss / static_cast<double>(next.queries.size());
  }
};

// ---------------------------------------------------------------------------------------------------------------------

class TransformerTest : public test::OpTest {
 protected:
  static constexpr int64_t n_items = 9;
  static Catalog catalog(int64_t items = n_items) {
    Catalog catalog = test::plain_catalog(items);
    ItemField field{"kind", 2, {}};
    for (int64_t i = 0; i < items; ++i) field.codes.push_back(static_cast<int32_t>(i % 2));
    catalog.fields.push_back(field);
    catalog.numbers = {1, test::random_floats(items, 7)};
    return catalog;
  }
  /// Every parameter random, so that none is at a special point.
  Model random_model(const TransformerShape& shape, const History& history, int64_t dim) {
    Model model(context(), history.n_users(), dim, catalog(), true, shape);
    uint32_t seed = 500;
    for (Parameter* p : model.parameters()) p->value.assign(test::random_floats(p->value.size(), seed++, -0.7f, 0.7f));
    return model;
  }
};

TEST_P(TransformerTest, GradientsAgreeWithFiniteDifferencesInDouble) {
  TransformerShape shape{.layers = 2, .heads = 2, .max_length = 4, .feed_forward = 5};
  const History history = history_of({{{1, 0}, {3}, {2, 6}, {1}}, {{5}, {5, 4}}, {{2}, {0}, {6}}});
  const NextItems next = next_items(history, n_items, shape.max_length, 2);
  struct Way {
    float rate;
    int64_t n_draws;
    bool users;
  };
  for (const Way way : {Way{0.0f, 0, false}, Way{0.3f, 0, true}, Way{0.2f, 3, true}}) {
    SCOPED_TRACE(testing::Message() << "dropout " << way.rate << ", draws " << way.n_draws);
    shape.user_rows = way.users ? history.n_users() : 0;
    Model model = random_model(shape, history, 4);
    const Shapes state(model);
    constexpr uint64_t kSeed = 11;
    constexpr uint32_t kStep = 3;
    const SequenceBatch batch(context(), next, n_items, shape.tokens());
    const SequenceCandidates candidates = way.n_draws > 0
                                              ? SequenceCandidates(context(), batch, way.n_draws, kSeed, kStep)
                                              : SequenceCandidates(context(), batch);
    EXPECT_EQ(candidates.n() < n_items, way.n_draws > 0);
    SequenceStep step(context(), model.tables, model.transformer, way.rate, kSeed);
    Buffer<double> loss(context(), std::vector<double>{0.0});
    step.differentiate(batch, candidates, kStep, loss.view());

    const Loss exact{state, next, {way.rate, kSeed, kStep}, way.n_draws};
    const Tables at = tables_of(model);
    EXPECT_NEAR(loss.to_host()[0], exact(at), 2e-6);
    double largest = 0;
    for (const Parameter* parameter : step.trained()) {
      const std::vector<float> got = parameter->gradient.to_host();
      const auto f = [&](const std::vector<double>& values) {
        Tables moved = at;
        moved[parameter->name] = values;
        return exact(moved);
      };
      for (size_t i = 0; i < got.size(); ++i) {
        const double expected = test::central_difference(f, at.at(parameter->name), i, 1e-5);
        largest = std::max(largest, std::abs(expected));
        // A float gradient through two layers: some hundred roundings of numbers about 1.
        EXPECT_NEAR(got[i], expected, 5e-6 + 5e-5 * std::abs(expected)) << parameter->name << ", element " << i;
      }
    }
    EXPECT_GT(largest, 0.05);
  }
}

// A run holds the batches of an epoch: what one takes must not grow with the users that are not in it.
TEST_P(TransformerTest, ABatchTakesMemoryForItsOwnUsersOnly) {
  const History history = history_of({{{1, 0}, {3}, {2, 6}, {1}}, {{5}, {5, 4}}});
  const NextItems next = next_items(history, n_items, 4, 2);
  const auto bytes_with = [&](int64_t user_rows, int64_t n_draws) {
    const TransformerShape shape{.layers = 1, .heads = 1, .max_length = 4, .feed_forward = 4, .user_rows = user_rows};
    const SequenceBatch batch(context(), next, n_items, shape.tokens());
    return n_draws > 0 ? SequenceCandidates(context(), batch, n_draws, 1, 1).bytes()
                       : SequenceCandidates(context(), batch).bytes();
  };
  for (const int64_t n_draws : {0, 3}) {
    EXPECT_EQ(bytes_with(1'000'000, n_draws), bytes_with(1'000, n_draws));
    EXPECT_LT(bytes_with(1'000'000, n_draws), 2'000);
  }
}

TEST_P(TransformerTest, AStateIsOfTheUsersPurchasesAlone) {
  const TransformerShape shape{.layers = 2, .heads = 1, .max_length = 4, .feed_forward = 6};
  const History all = history_of({{{2}, {3}, {4}}, {}, {{5}}, {{2}, {3}, {4}}});
  const Model model = random_model(shape, all, 4);
  const Buffer<float> items = model.tables.item_vectors(context());
  const std::vector<float> states = model.transformer.last_states(context(), all, items).to_host();
  ASSERT_EQ(states.size(), 16u);
  const auto state = [&](int64_t u) {
    return std::vector<float>(states.begin() + 4 * u, states.begin() + 4 * (u + 1));
  };
  EXPECT_EQ(state(1), std::vector<float>(4, 0.0f));
  EXPECT_EQ(state(0), state(3));
  EXPECT_NE(state(0), state(2));
  // Alone, the same but for the order of roundings in a shorter matrix product.
  const std::vector<float> single = model.transformer.last_states(context(), history_of({{{5}}}), items).to_host();
  for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(single[c], state(2)[c], 1e-5);

  // With vectors of their own, users of the same purchases differ; people that nobody knows have none.
  TransformerShape own = shape;
  own.user_rows = 4;
  const Model with_users = random_model(own, all, 4);
  const Buffer<float> own_items = with_users.tables.item_vectors(context());
  const std::vector<float> differ = with_users.transformer.last_states(context(), all, own_items).to_host();
  EXPECT_EQ(std::vector<float>(differ.begin() + 4, differ.begin() + 8), std::vector<float>(4, 0.0f));
  EXPECT_FALSE(std::equal(differ.begin(), differ.begin() + 4, differ.begin() + 12));
  const std::vector<float> unknown = with_users.transformer.last_states(context(), all, own_items, false).to_host();
  EXPECT_TRUE(std::equal(unknown.begin(), unknown.begin() + 4, unknown.begin() + 12));
  EXPECT_FALSE(std::equal(unknown.begin(), unknown.begin() + 4, differ.begin()));
}

TEST_P(TransformerTest, RefusesWhatCannotBe) {
  const auto shaped = [&](auto&& change) {
    TransformerShape shape;
    change(shape);
    EXPECT_THROW(Transformer(context(), shape, 6), UsageError);
  };
  shaped([](TransformerShape& s) { s.heads = 4; });
  shaped([](TransformerShape& s) { s.layers = 0; });
  shaped([](TransformerShape& s) { s.max_length = 0; });
  shaped([](TransformerShape& s) { s.feed_forward = 0; });
  EXPECT_THROW(Transformer(context(), {.heads = 1}, 256), UsageError);  // a head wider than 128
}

SHEAF_ON_EVERY_BACKEND(TransformerTest);

}  // namespace
}  // namespace sheaf
