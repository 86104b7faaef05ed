#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_sort.hpp"
#include "kernels/embedding/table_update.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/optim.hpp"
#include "tests/reference/table.hpp"

namespace sheaf {
namespace {

using embedding::Optimizer;
using embedding::Pooling;
using embedding::TableType;

struct Case {
  int64_t dim = 1;
  TableType type = TableType::f32;
  Pooling pooling = Pooling::sum;
  std::vector<float> values{};  // as stored, without i8's scale
  std::vector<float> scales{};
  ref::HostBags bags{};
  int64_t first_entry = 0;
  bool has_offsets = true;
  int64_t n_rows() const { return bags.first_row.back(); }
};

// What the table holds after storing `values`.
float stored(TableType type, float value) {
  switch (type) {
    case TableType::f16: return to_float(nearest<Half>(value));
    case TableType::bf16: return to_float(nearest<BFloat16>(value));
    case TableType::i8: return std::nearbyint(value * 127.0f);
    case TableType::f32: break;
  }
  return value;
}

Case random_case(int64_t dim, TableType type, Pooling pooling, bool weighted, int64_t n_tables = 1,
                 int64_t bags_a_table = 24, int64_t rows_a_table = 20, int64_t max_bag = 6) {
  Case c{.dim = dim, .type = type, .pooling = pooling};
  c.bags.first_row = {0};
  c.bags.offsets = {0};
  for (int64_t t = 0; t < n_tables; ++t) {
    const int64_t rows = rows_a_table + t;
    c.bags.first_row.push_back(c.bags.first_row.back() + rows);
    const auto sizes = test::random_ints(bags_a_table, static_cast<uint32_t>(40 + t), 0, static_cast<int32_t>(max_bag));
    for (const int32_t size : sizes) c.bags.offsets.push_back(c.bags.offsets.back() + size);
    const auto ids = test::random_ints(c.bags.offsets.back() - static_cast<int64_t>(c.bags.ids.size()),
                                       static_cast<uint32_t>(50 + t), 0, static_cast<int32_t>(rows) - 1);
    c.bags.ids.insert(c.bags.ids.end(), ids.begin(), ids.end());
  }
  if (weighted) c.bags.weights = test::random_floats(static_cast<int64_t>(c.bags.ids.size()), 60);
  c.values = test::random_floats(c.n_rows() * dim, 61);
  for (float& value : c.values) value = stored(type, value);
  if (type == TableType::i8) c.scales = test::random_floats(c.n_rows(), 62, 0.01f, 0.02f);
  return c;
}

std::vector<double> worth(const Case& c) {
  std::vector<double> out = test::to_double(c.values);
  for (size_t i = 0; i < out.size() && !c.scales.empty(); ++i) {
    out[i] *= static_cast<double>(c.scales[i / static_cast<size_t>(c.dim)]);
  }
  return out;
}

// A case on the device, with canaries around what the ops write.
struct OnDevice {
  OnDevice(Context& device_context, const Case& host)
      : context(device_context),
        c(host),
        storage(context, packed(host)),
        scales(context, host.scales),
        first_row(context, host.bags.first_row),
        offsets(context, shifted(host)),
        ids(context, host.bags.ids),
        weights(context, host.bags.weights),
        fault(context, 1),
        winners(context, host.bags.n_bags() * host.dim) {
    embedding::clear_fault(context, fault.data());
  }

  static std::vector<uint8_t> packed(const Case& c) {
    std::vector<uint8_t> bytes;
    embedding::with_element(c.type, [&]<class T>(T) {
      for (const float value : c.values) {
        T element;
        if constexpr (std::is_same_v<T, int8_t>) {
          element = static_cast<int8_t>(value);
        } else {
          element = nearest<T>(value);
        }
        const auto* first = reinterpret_cast<const uint8_t*>(&element);
        bytes.insert(bytes.end(), first, first + sizeof(T));
      }
    });
    return bytes;
  }
  static std::vector<int64_t> shifted(const Case& c) {
    std::vector<int64_t> out = c.bags.offsets;
    for (int64_t& offset : out) offset += c.first_entry;
    return out;
  }

  embedding::Tables tables() {
    return {.data = storage.data(),
            .scales = c.scales.empty() ? nullptr : scales.data(),
            .first_row = c.bags.first_row.size() > 2 ? first_row.data() : nullptr,
            .type = c.type,
            .n_rows = c.n_rows(),
            .dim = c.dim,
            .n_tables = static_cast<int64_t>(c.bags.first_row.size()) - 1};
  }
  embedding::Bags bags() const {
    return {.ids = ids.view(),
            .weights = c.bags.weights.empty() ? nullptr : weights.data(),
            .offsets = c.has_offsets ? offsets.data() : nullptr,
            .n_bags = c.bags.n_bags(),
            .first_entry = c.first_entry};
  }
  std::vector<float> forward() {
    test::Guarded<float> out(context, c.bags.n_bags() * c.dim);
    embedding::table_bag(
        context, {.tables = tables(),
                  .bags = bags(),
                  .pooling = c.pooling,
                  .fault = fault.data(),
                  .winners = c.pooling == Pooling::max ? winners.matrix(c.bags.n_bags(), c.dim) : MatrixView<int32_t>{},
                  .out = out.matrix(c.bags.n_bags(), c.dim)});
    out.expect_intact();
    winners.expect_intact();
    return out.to_host();
  }
  void raise() { embedding::raise_fault(context, fault.data(), tables(), bags()); }
  std::vector<float> table() const {
    const std::vector<uint8_t> bytes = storage.to_host();
    std::vector<float> out(c.values.size());
    embedding::with_element(c.type, [&]<class T>(T element) {
      for (size_t i = 0; i < out.size(); ++i) {
        std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
        out[i] = to_float(element);
      }
    });
    return out;
  }

  Context& context;
  const Case& c;
  test::Guarded<uint8_t> storage;
  Buffer<float> scales;
  Buffer<int64_t> first_row, offsets;
  Buffer<int32_t> ids;
  Buffer<float> weights;
  Buffer<uint64_t> fault;
  test::Guarded<int32_t> winners;
};

void expect_right(const Case& c, const std::vector<float>& out) {
  const ref::Sums expected = ref::table_bag(worth(c), c.dim, c.bags, c.pooling);
  ASSERT_EQ(out.size(), expected.value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    // Two roundings more than Sums::bound: the product with i8's scale, the mean's division and product.
    EXPECT_NEAR(out[i], expected.value[i], expected.bound(i) + 3 * test::kRound * expected.magnitude[i])
        << "element " << i << ", dim " << c.dim;
  }
}

class TableBagTest : public test::OpTest {};

TEST_P(TableBagTest, AgreesWithOracle) {
  for (const TableType type : {TableType::f32, TableType::f16, TableType::bf16, TableType::i8}) {
    for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
      for (const int64_t dim : {1, 3, 8, 20, 31, 32, 33, 64, 100, 257, 1024}) {
        const Case c = random_case(dim, type, pooling, pooling != Pooling::max && dim % 3 != 0, 1 + dim % 3);
        OnDevice device(context(), c);
        expect_right(c, device.forward());
        EXPECT_NO_THROW(device.raise());
      }
    }
  }
}

TEST_P(TableBagTest, SameBitsByEveryInstructionSet) {
  for (const TableType type : {TableType::f32, TableType::f16, TableType::bf16, TableType::i8}) {
    for (const int64_t dim : {1, 8, 15, 16, 40, 64, 96, 100, 250, 256, 264}) {
      for (const bool weighted : {false, true}) {
        const Case c = random_case(dim, type, Pooling::mean, weighted, 2);
        OnDevice fastest(context(), c);
        const std::vector<float> out = fastest.forward();
        expect_right(c, out);
        for (const char* name : {"avx512", "avx2", "portable"}) {
          setenv("SHEAF_ROW_SUM", name, 1);
          OnDevice by_name(context(), c);
          EXPECT_TRUE(test::same_bits(by_name.forward(), out)) << name << ", dim " << dim;
        }
        unsetenv("SHEAF_ROW_SUM");
      }
    }
  }
}

TEST_P(TableBagTest, IntegersAreExactAndBagsMayBeLong) {
  for (const TableType type : {TableType::f32, TableType::f16, TableType::bf16}) {
    Case c = random_case(40, type, Pooling::sum, true, 2, 5, 70, 900);
    for (float& value : c.values) value = std::nearbyint(value * 100.0f);
    for (float& value : c.bags.weights) value = std::nearbyint(value * 9.0f);
    const ref::Sums expected = ref::table_bag(worth(c), c.dim, c.bags, c.pooling);
    const std::vector<float> out = OnDevice(context(), c).forward();
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], expected.value[i]) << i;
  }
}

TEST_P(TableBagTest, WithoutOffsetsItIsALookup) {
  Case c = random_case(12, TableType::f32, Pooling::sum, false, 3, 10, 9, 1);
  c.bags.offsets = {0};
  c.bags.ids = test::random_ints(30, 63, 0, 8);
  for (int64_t e = 1; e <= 30; ++e) c.bags.offsets.push_back(e);
  c.has_offsets = false;
  expect_right(c, OnDevice(context(), c).forward());
}

TEST_P(TableBagTest, OffsetsBeyond2To31) {
  Case c = random_case(8, TableType::f32, Pooling::sum, true);
  const std::vector<float> near = OnDevice(context(), c).forward();
  c.first_entry = (int64_t{1} << 33) + 5;
  EXPECT_TRUE(test::same_bits(OnDevice(context(), c).forward(), near));
}

TEST_P(TableBagTest, OutOfRangeIsReportedAndLeftOut) {
  for (const int32_t wrong : {-1, 21, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    Case c = random_case(16, TableType::f32, Pooling::sum, false, 2);  // tables of 20 and 21 rows
    c.bags.ids[c.bags.ids.size() - 1] = wrong;
    c.bags.ids[c.bags.ids.size() - 3] = wrong;
    OnDevice device(context(), c);
    expect_right(c, device.forward());
    try {
      device.raise();
      FAIL() << "no error for id " << wrong;
    } catch (const DataError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("id " + std::to_string(wrong) + " at position " + std::to_string(c.bags.ids.size() - 3)),
                std::string::npos)
          << text;
      EXPECT_NE(text.find("table 1"), std::string::npos) << text;
    }
    EXPECT_NO_THROW(device.raise());
    expect_right(c, device.forward());
  }
}

TEST_P(TableBagTest, NanWinsAMaximum) {
  Case c{.dim = 2, .pooling = Pooling::max};
  c.bags = {.first_row = {0, 3}, .offsets = {0, 3, 3}, .ids = {0, 1, 2}, .weights = {}};
  c.values = {1, 5, std::numeric_limits<float>::quiet_NaN(), 5, 3, 4};
  OnDevice device(context(), c);
  const std::vector<float> out = device.forward();
  EXPECT_TRUE(std::isnan(out[0]));
  EXPECT_EQ(out[1], 5.0f);
  EXPECT_EQ(out[2], 0.0f);
  EXPECT_EQ(device.winners.to_host(), (std::vector<int32_t>{1, 0, -1, -1}));
}

TEST_P(TableBagTest, RefusesWrongArguments) {
  Case c = random_case(4, TableType::f32, Pooling::max, true);
  EXPECT_THROW(OnDevice(context(), c).forward(), UsageError);
  c = random_case(4, TableType::f32, Pooling::sum, false);
  c.dim = 0;
  EXPECT_THROW(OnDevice(context(), c).forward(), UsageError);
  c = random_case(4, TableType::f32, Pooling::sum, false);
  c.has_offsets = false;
  EXPECT_THROW(OnDevice(context(), c).forward(), UsageError);
  c = random_case(4, TableType::i8, Pooling::sum, false);
  c.scales.clear();
  EXPECT_THROW(OnDevice(context(), c).forward(), UsageError);
}

SHEAF_ON_EVERY_BACKEND(TableBagTest);

struct Step {
  Optimizer optimizer = Optimizer::sgd;
  OptimizerParams params{.learning_rate = 0.05f, .weight_decay = 0.1f, .step = 3};
  bool stochastic = false;
};

struct State {
  std::vector<float> table, state1, state2;
};

// Runs forward (for the winners) and update; the state starts at 0.25 + 0.5 |random|, so that roots stay away from
// zero.
State update(Context& context, const Case& c, const std::vector<float>& grad, const Step& step,
             State* before = nullptr) {
  OnDevice device(context, c);
  device.forward();
  const int64_t n = c.n_rows() * c.dim;
  const State start{c.values, test::random_floats(n, 64, 0.25f, 0.75f), test::random_floats(n, 65, 0.25f, 0.75f)};
  if (before) *before = start;
  const Buffer<float> grads(context, grad);
  test::Guarded<float> state1(context, start.state1), state2(context, start.state2);
  MatrixView<const int32_t> winners;
  if (c.pooling == Pooling::max) winners = device.winners.matrix(c.bags.n_bags(), c.dim);
  embedding::table_update(context, {.grad = grads.matrix(c.bags.n_bags(), c.dim),
                                    .tables = device.tables(),
                                    .bags = device.bags(),
                                    .pooling = c.pooling,
                                    .winners = winners,
                                    .fault = device.fault.data(),
                                    .optimizer = step.optimizer,
                                    .params = step.params,
                                    .stochastic_rounding = step.stochastic,
                                    .state1 = state1.data(),
                                    .state2 = state2.data()});
  device.storage.expect_intact();
  state1.expect_intact();
  state2.expect_intact();
  return {device.table(), state1.to_host(), state2.to_host()};
}

struct Expected {
  double value, bound;
};

// A float step of row-wise Adagrad by g with error `error`: the state is known to within `state_error`.
Expected rooted_step(const OptimizerParams& o, double p, double g, double error, double state, double state_error) {
  const double scale = static_cast<double>(o.learning_rate) / (std::sqrt(state) + static_cast<double>(o.epsilon));
  const double scale_error =
      scale * (state_error / (2.0 * (state - state_error)) + 4 * test::kRound);  // d log(sqrt s) = ds / 2s
  return {p - scale * g,
          scale * error + scale_error * (std::abs(g) + error) + 4 * test::kRound * (std::abs(p) + std::abs(scale * g))};
}

void expect_right(const Case& c, const std::vector<float>& grad, const Step& step, const State& before,
                  const State& after) {
  const ref::Sums sums = ref::table_gradient(worth(c), test::to_double(grad), c.dim, c.bags, c.pooling);
  const OptimizerParams& o = step.params;
  const auto dim = static_cast<size_t>(c.dim);
  std::vector<bool> touched(static_cast<size_t>(c.n_rows()));
  for (int64_t b = 0; b < c.bags.n_bags(); ++b) {
    const auto t = static_cast<size_t>(b / (c.bags.n_bags() / (static_cast<int64_t>(c.bags.first_row.size()) - 1)));
    for (auto e = static_cast<size_t>(c.bags.offsets[static_cast<size_t>(b)]);
         e < static_cast<size_t>(c.bags.offsets[static_cast<size_t>(b) + 1]); ++e) {
      touched[static_cast<size_t>(c.bags.first_row[t] + c.bags.ids[e])] = true;
    }
  }
  // With the decay; the mean's weight has two roundings of its own.
  const auto g_at = [&](size_t i) {
    const double decay = static_cast<double>(o.weight_decay) * static_cast<double>(c.values[i]);
    const double g = sums.value[i] + decay;
    return Expected{
        g, sums.bound(i) + 2 * test::kRound * sums.magnitude[i] + 2 * test::kRound * (std::abs(decay) + std::abs(g))};
  };
  for (size_t i = 0; i < c.values.size(); ++i) {
    const size_t r = i / dim;
    if (!touched[r]) {
      EXPECT_EQ(after.table[i], c.values[i]) << "a row that no bag touches moved, element " << i;
      EXPECT_EQ(after.state1[i], before.state1[i]) << i;
      continue;
    }
    const double p = static_cast<double>(c.values[i]);
    const auto [g, error] = g_at(i);
    Expected expected{};
    switch (step.optimizer) {
      case Optimizer::sgd: {
        const double lr = static_cast<double>(o.learning_rate);
        expected = {p - lr * g, lr * error + 2 * test::kRound * (std::abs(p) + std::abs(lr * g))};
        break;
      }
      case Optimizer::rowwise_adagrad: {
        double squares = 0, squares_error = 0;
        for (size_t k = r * dim; k < (r + 1) * dim; ++k) {
          const auto [gk, ek] = g_at(k);
          squares += gk * gk;
          squares_error += 2 * std::abs(gk) * ek + ek * ek + static_cast<double>(dim + 2) * test::kRound * gk * gk;
        }
        const double state = static_cast<double>(before.state1[r]) + squares / static_cast<double>(dim);
        const double state_error = squares_error / static_cast<double>(dim) + 3 * test::kRound * state;
        EXPECT_NEAR(after.state1[r], state, state_error) << r;
        expected = rooted_step(o, p, g, error, state, state_error);
        break;
      }
      case Optimizer::rmsprop:
      case Optimizer::adagrad:
      case Optimizer::momentum: {
        const ref::OneState start{p, before.state1[i]};
        const double raw_error = sums.bound(i) + 2 * test::kRound * sums.magnitude[i];
        const ref::OneState bound = ref::one_state_bound(step.optimizer, sums.value[i], raw_error, o, start);
        const ref::OneState element = ref::one_state(step.optimizer, sums.value[i], o, start);
        EXPECT_NEAR(after.state1[i], element.state, bound.state) << i;
        expected = {element.parameter, bound.parameter};
        break;
      }
      case Optimizer::adam: {
        const ref::AdamElement start{p, before.state1[i], before.state2[i]};
        const double raw_error = sums.bound(i) + 2 * test::kRound * sums.magnitude[i];
        const ref::AdamElement bound = ref::adam_bound(sums.value[i], raw_error, o, start);
        const ref::AdamElement element = ref::adam(sums.value[i], o, start);
        EXPECT_NEAR(after.state1[i], element.moment1, bound.moment1) << i;
        EXPECT_NEAR(after.state2[i], element.moment2, bound.moment2) << i;
        expected = {element.parameter, bound.parameter};
        break;
      }
    }
    // Narrowing: half a place to the nearest, a whole one stochastically.
    const double place = c.type == TableType::f16 ? 0x1.0p-10 : c.type == TableType::bf16 ? 0x1.0p-7 : 0.0;
    const double narrowing = place * (std::abs(expected.value) + expected.bound) * (step.stochastic ? 1.0 : 0.5) +
                             (c.type == TableType::f16 ? 0x1.0p-24 : 0.0);
    EXPECT_NEAR(after.table[i], expected.value, expected.bound + narrowing) << "element " << i << ", dim " << c.dim;
  }
}

class TableSortTest : public test::OpTest {};
class TableUpdateTest : public test::OpTest {};

TEST_P(TableUpdateTest, AgreesWithOracle) {
  for (const TableType type : {TableType::f32, TableType::f16, TableType::bf16}) {
    for (const Optimizer optimizer : {Optimizer::sgd, Optimizer::rowwise_adagrad, Optimizer::adam, Optimizer::rmsprop,
                                      Optimizer::adagrad, Optimizer::momentum}) {
      for (const int64_t dim : {1, 4, 33, 64, 130, 260}) {
        const auto pooling = static_cast<Pooling>(dim % 3);
        const Case c = random_case(dim, type, pooling, pooling == Pooling::sum, 1 + dim % 2, 14, 20, 5);
        const std::vector<float> grad = test::random_floats(c.bags.n_bags() * dim, 66);
        Step step{.optimizer = optimizer, .stochastic = dim % 2 == 0};
        step.params.nesterov = dim > 33;
        State before;
        const State after = update(context(), c, grad, step, &before);
        expect_right(c, grad, step, before, after);
      }
    }
  }
}

TEST_P(TableSortTest, OrdersEntriesByRow) {
  Case c = random_case(4, TableType::f32, Pooling::sum, false, 3, 40, 30, 9);
  c.bags.ids[17] = -3;
  for (const bool has_offsets : {true, false}) {
    if (!has_offsets) {
      c = random_case(4, TableType::f32, Pooling::sum, false, 1, 40, 30, 1);
      c.has_offsets = false;
      c.bags.offsets.clear();
      for (size_t e = 0; e <= c.bags.ids.size(); ++e) c.bags.offsets.push_back(static_cast<int64_t>(e));
    }
    OnDevice d(context(), c);
    const auto n = static_cast<int64_t>(c.bags.ids.size());
    test::Guarded<uint32_t> rows(context(), n), entries(context(), n);
    test::Guarded<int32_t> bags(context(), n);
    embedding::table_sort(context(),
                          {d.tables(), d.bags(), d.fault.data(), {rows.view(), entries.view(), bags.view()}});
    std::vector<std::pair<uint32_t, uint32_t>> expected;
    std::vector<int32_t> bag_of;
    for (int64_t b = 0; b < c.bags.n_bags(); ++b) {
      const auto t = static_cast<size_t>(b / (c.bags.n_bags() / d.tables().n_tables));
      for (auto e = static_cast<size_t>(c.bags.offsets[static_cast<size_t>(b)]);
           e < static_cast<size_t>(c.bags.offsets[static_cast<size_t>(b) + 1]); ++e) {
        const int64_t row = c.bags.ids[e] < 0 ? c.n_rows() : c.bags.first_row[t] + c.bags.ids[e];
        expected.emplace_back(static_cast<uint32_t>(row), static_cast<uint32_t>(e));
        bag_of.push_back(static_cast<int32_t>(b));
      }
    }
    std::ranges::sort(expected);
    const std::vector<uint32_t> got_rows = rows.to_host(), got_entries = entries.to_host();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(got_rows[i], expected[i].first) << i;
      EXPECT_EQ(got_entries[i], expected[i].second) << i;
    }
    EXPECT_EQ(bags.to_host(), bag_of);
    rows.expect_intact();
    entries.expect_intact();
    bags.expect_intact();
    if (has_offsets) {
      EXPECT_THROW(d.raise(), DataError);
    }
  }
}

TEST_P(TableSortTest, BesideTheForwardPassTheUpdateIsTheSame) {
  const Case c = random_case(20, TableType::f32, Pooling::sum, true, 2, 60, 25, 8);
  const auto n = static_cast<int64_t>(c.bags.ids.size());
  const Buffer<float> grad(context(), test::random_floats(c.bags.n_bags() * c.dim, 63));
  OnDevice alone(context(), c), both(context(), c);
  const auto update = [&](OnDevice& d, const embedding::SortedEntries& sorted) {
    embedding::table_update(context(), {.grad = grad.matrix(c.bags.n_bags(), c.dim),
                                        .tables = d.tables(),
                                        .bags = d.bags(),
                                        .fault = d.fault.data(),
                                        .sorted = sorted});
    return d.table();
  };
  const std::vector<float> expected = update(alone, {});
  Context side(context().device(), {.n_threads = 1});
  Buffer<uint32_t> rows(side, n), entries(side, n);
  Buffer<int32_t> bags(side, n);
  side.wait_for(context());  // the ids are there
  embedding::table_sort(side,
                        {both.tables(), both.bags(), both.fault.data(), {rows.view(), entries.view(), bags.view()}});
  both.forward();
  context().wait_for(side);
  EXPECT_EQ(update(both, {std::as_const(rows).view(), std::as_const(entries).view(), std::as_const(bags).view()}),
            expected);
  EXPECT_NE(expected, c.values);
  EXPECT_THROW(update(both, {{rows.data(), n - 1}, {entries.data(), n - 1}, {bags.data(), n - 1}}), UsageError);
}

TEST_P(TableUpdateTest, WidestRows) {
  for (const int64_t dim : {1024, 1023}) {
    const Case c = random_case(dim, TableType::f32, Pooling::mean, true, 1, 5, 4, 5);
    const std::vector<float> grad = test::random_floats(c.bags.n_bags() * dim, 67);
    State before;
    const State after = update(context(), c, grad, {.optimizer = Optimizer::rowwise_adagrad}, &before);
    expect_right(c, grad, {.optimizer = Optimizer::rowwise_adagrad}, before, after);
  }
}

// Rows of 511 to 1600 occurrences: sums over one to four segments, next to rare rows; integers, so that every order is
// exact.
TEST_P(TableUpdateTest, HotRowsAreExactOnIntegers) {
  Case c = random_case(6, TableType::f32, Pooling::sum, false, 1, 300, 400, 1);
  const std::vector<int64_t> repeats{511, 512, 1, 513, 2, 1024, 1600, 3};
  c.bags.ids.clear();
  for (size_t r = 0; r < repeats.size(); ++r)
    c.bags.ids.insert(c.bags.ids.end(), static_cast<size_t>(repeats[r]), static_cast<int32_t>(r * 50));
  for (size_t i = c.bags.ids.size() - 1; i > 0; --i) std::swap(c.bags.ids[i], c.bags.ids[i * 7919 % (i + 1)]);
  const auto n = static_cast<int64_t>(c.bags.ids.size());
  for (int64_t b = 0; b <= 300; ++b) c.bags.offsets[static_cast<size_t>(b)] = b * n / 300;
  std::fill(c.values.begin(), c.values.end(), 0.0f);
  std::vector<float> grad = test::random_floats(300 * 6, 68, -50.0f, 50.0f);
  for (float& g : grad) g = std::nearbyint(g);
  const ref::Sums sums = ref::table_gradient(worth(c), test::to_double(grad), 6, c.bags, c.pooling);
  const State after = update(context(), c, grad, {.params = {.learning_rate = 1.0f}});
  for (size_t i = 0; i < after.table.size(); ++i) EXPECT_EQ(after.table[i], -sums.value[i]) << i;
}

TEST_P(TableUpdateTest, OneRowAMillionTimes) {
  constexpr int64_t kBags = 100, kTimes = 1000000;
  Case c{.dim = 1, .values = {0.0f, 0.0f, 0.0f}};
  c.bags.first_row = {0, 3};
  for (int64_t b = 0; b <= kBags; ++b) c.bags.offsets.push_back(b * (kTimes / kBags));
  c.bags.ids.assign(kTimes, 1);
  const State after = update(context(), c, std::vector<float>(kBags, 1.0f), {.params = {.learning_rate = 1.0f}});
  EXPECT_EQ(after.table, (std::vector<float>{0.0f, -1000000.0f, 0.0f}));
}

TEST_P(TableUpdateTest, GradientAgreesWithFiniteDifferences) {
  for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
    Case c = random_case(3, TableType::f32, pooling, pooling != Pooling::max, 2, 8, 6, 4);
    const std::vector<float> grad = test::random_floats(c.bags.n_bags() * 3, 69);
    const State after = update(context(), c, grad, {.params = {.learning_rate = 1.0f}});
    const ref::Sums sums = ref::table_gradient(worth(c), test::to_double(grad), 3, c.bags, pooling);
    const auto forward = [&](const std::vector<double>& values) {
      const ref::Sums out = ref::table_bag(values, 3, c.bags, pooling);
      double sum = 0;
      for (size_t i = 0; i < out.value.size(); ++i) sum += out.value[i] * static_cast<double>(grad[i]);
      return sum;
    };
    for (size_t i = 0; i < c.values.size(); ++i) {
      // The forward is linear within 2^-20 of the drawn values; the difference of double sums below 100 over 2h errs
      // below 1e-7.
      const double slope = test::central_difference(forward, worth(c), i, 0x1.0p-20);
      const double step = static_cast<double>(c.values[i]) - static_cast<double>(after.table[i]);
      EXPECT_NEAR(step, slope, sums.bound(i) + 2 * test::kRound * (sums.magnitude[i] + 1.0 + std::abs(slope)) + 1e-7)
          << i;
    }
  }
}

TEST_P(TableUpdateTest, StochasticRoundingIsPhiloxAndFair) {
  for (const TableType type : {TableType::f16, TableType::bf16}) {
    constexpr int64_t kDim = 1000, kRows = 8;
    Case c{.dim = kDim, .type = type, .values = std::vector<float>(kDim * kRows, 1.0f)};
    c.bags = {.first_row = {0, kRows},
              .offsets = {0, 1, 2, 3, 4, 5, 6, 7, 8},
              .ids = {0, 1, 2, 3, 4, 5, 6, 7},
              .weights = {}};
    const float place = type == TableType::f16 ? 0x1.0p-10f : 0x1.0p-7f;
    const State after = update(context(), c, std::vector<float>(kDim * kRows, -0.25f * place),
                               {.params = {.learning_rate = 1.0f, .step = 9}, .stochastic = true});
    int64_t up = 0;
    for (int64_t i = 0; i < kDim * kRows; ++i) {
      const uint32_t draw = random_u32({context().seed(), Purpose::rounding, 9}, static_cast<uint64_t>(i / kDim),
                                       static_cast<uint32_t>(i % kDim));
      const bool goes_up = draw >= 0xc0000000u;
      EXPECT_EQ(after.table[static_cast<size_t>(i)], goes_up ? 1.0f + place : 1.0f) << i;
      up += goes_up;
    }
    const double n = kDim * kRows;
    EXPECT_NEAR(static_cast<double>(up), 0.25 * n, 5.0 * std::sqrt(n * 0.25 * 0.75));
  }
}

TEST_P(TableUpdateTest, OutOfRangeTouchesNothingElse) {
  Case c = random_case(5, TableType::f32, Pooling::sum, false);
  Case without = c;
  without.bags.weights.assign(c.bags.ids.size(), 1.0f);
  without.bags.weights[3] = 0.0f;
  c.bags.ids[3] = 20;
  const std::vector<float> grad = test::random_floats(c.bags.n_bags() * 5, 70);
  const Step step{.params = {.learning_rate = 0.5f}};
  EXPECT_TRUE(test::same_bits(update(context(), c, grad, step).table, update(context(), without, grad, step).table));
}

TEST_P(TableUpdateTest, SameBitsOnEveryRunAndAnyThreads) {
  Case c = random_case(24, TableType::bf16, Pooling::sum, true, 2, 300, 60, 20);
  for (size_t i = 0; i < c.bags.ids.size(); i += 2) c.bags.ids[i] = 7;  // hot
  const std::vector<float> grad = test::random_floats(c.bags.n_bags() * 24, 71);
  const Step step{.optimizer = Optimizer::adam, .stochastic = true};
  const State first = update(context(), c, grad, step);
  for (const int threads : {1, 2, 3}) {
    const State again = update(*make_context(threads), c, grad, step);
    EXPECT_TRUE(test::same_bits(again.table, first.table)) << threads;
    EXPECT_TRUE(test::same_bits(again.state1, first.state1)) << threads;
    EXPECT_TRUE(test::same_bits(again.state2, first.state2)) << threads;
  }
}

TEST_P(TableUpdateTest, RefusesWrongArguments) {
  const Case c = random_case(4, TableType::i8, Pooling::sum, false);
  const std::vector<float> grad = test::random_floats(c.bags.n_bags() * 4, 72);
  EXPECT_THROW(update(context(), c, grad, {}), UsageError);
  const Case f = random_case(4, TableType::f32, Pooling::sum, false);
  EXPECT_THROW(update(context(), f, grad, {.params = {.step = 0}}), UsageError);
  EXPECT_THROW(update(context(), f, grad, {.params = {.decoupled_decay = 0.1f}}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(TableSortTest);
SHEAF_ON_EVERY_BACKEND(TableUpdateTest);

template <class T>
void expect_narrowing(uint32_t infinity) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const T narrow{static_cast<uint16_t>(bits)};
    const float wide = to_float(narrow);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(nearest<T>(wide))));
      continue;
    }
    EXPECT_EQ(nearest<T>(wide).bits, bits);
    EXPECT_EQ(stochastic<T>(wide, 0xffffffffu).bits, bits);
    if ((bits & 0x7fff) + 1 >= infinity) continue;
    // Halfway to the next number ties go to even; beside it to the nearer one.
    const float next = to_float(T{static_cast<uint16_t>(bits + 1)});
    const float half = wide + 0.5f * (next - wide);
    EXPECT_EQ(nearest<T>(half).bits, bits + (bits & 1)) << bits;
    EXPECT_EQ(nearest<T>(std::nextafter(half, wide)).bits, bits) << bits;
    EXPECT_EQ(nearest<T>(std::nextafter(half, next)).bits, bits + 1) << bits;
    EXPECT_EQ(stochastic<T>(half, 0x7fffffffu).bits, bits) << bits;
    EXPECT_EQ(stochastic<T>(half, 0x80000000u).bits, bits + 1) << bits;
  }
  EXPECT_EQ(nearest<T>(std::numeric_limits<float>::max()).bits, infinity - 1);
  EXPECT_EQ(nearest<T>(-std::numeric_limits<float>::infinity()).bits, infinity | 0x8000u);
}

TEST(HalfTest, EveryNumberAndWhatLiesBetween) { expect_narrowing<Half>(0x7c00); }
TEST(BFloat16Test, EveryNumberAndWhatLiesBetween) { expect_narrowing<BFloat16>(0x7f80); }

}  // namespace
}  // namespace sheaf
