// Bags that are named by entities: table_bag, table_sort and table_update beside the same bags written out one after
// another.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_sort.hpp"
#include "kernels/embedding/table_update.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/embedding.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf {
namespace {

using embedding::Optimizer;
using embedding::Pooling;
using embedding::TableType;

constexpr int64_t kFirstEntry = (int64_t{1} << 33) + 5;

struct Case {
  int64_t n_rows, dim, max_bag;
  test::HostCsr bags;
  std::vector<int32_t> ids;
  std::vector<float> table, grad, state1, state2;
  OptimizerParams adam;
  Pooling pooling = Pooling::sum;
  Optimizer optimizer = Optimizer::adam;
  int64_t n() const { return static_cast<int64_t>(ids.size()); }
};

// Bags of 0 to max_bag rows; ids name an entity several times as soon as there are more ids than entities.
Case random_case(int64_t n_ids, int64_t n_entities, int64_t n_rows, int64_t dim, int64_t max_bag, bool weighted) {
  return {n_rows,
          dim,
          max_bag,
          test::random_csr(n_entities, n_rows, max_bag, 80, weighted),
          test::random_ints(n_ids, 81, 0, static_cast<int32_t>(n_entities) - 1),
          test::random_floats(n_rows * dim, 83),
          test::random_floats(n_ids * dim, 82),
          test::random_floats(n_rows * dim, 84, 0.1f, 0.5f),
          test::random_floats(n_rows * dim, 85, 0.1f, 0.5f),
          {.learning_rate = 0.02f, .weight_decay = 0.05f, .decoupled_decay = 0.1f, .step = 4}};
}

// What the ids name, one after another: entity n is bag n.
test::HostCsr written_out(const Case& c) {
  test::HostCsr out;
  out.n_columns = c.bags.n_columns;
  for (const int32_t id : c.ids) {
    const auto entity = static_cast<size_t>(id);
    for (auto e = static_cast<size_t>(c.bags.row_offsets[entity]);
         e < static_cast<size_t>(c.bags.row_offsets[entity + 1]); ++e) {
      out.columns.push_back(c.bags.columns[e]);
      if (!c.bags.values.empty()) out.values.push_back(c.bags.values[e]);
    }
    out.row_offsets.push_back(static_cast<int64_t>(out.columns.size()));
  }
  return out;
}

struct State {
  std::vector<float> table, state1, state2;
  bool same_bits(const State& other) const {
    return test::same_bits(table, other.table) && test::same_bits(state1, other.state1) &&
           test::same_bits(state2, other.state2);
  }
};

// A case on the device. Without `by_entities` its bags are written out.
class OnDevice {
 public:
  OnDevice(Context& context, const Case& c, bool by_entities = true)
      : context_(context),
        c_(c),
        by_entities_(by_entities),
        bags_(context, by_entities ? c.bags : written_out(c)),
        ids_(context, c.ids),
        table_(context, c.table),
        winners_(context, c.n() * c.dim),
        fault_(context, 1) {
    embedding::clear_fault(context, fault_.data());
  }

  embedding::Tables tables() { return embedding::table_of(table_.matrix(c_.n_rows, c_.dim)); }
  embedding::Bags bags() const {
    return by_entities_ ? embedding::bags_of(bags_.view(), ids_.view(), c_.max_bag) : embedding::bags_of(bags_.view());
  }
  uint64_t* fault() { return fault_.data(); }
  void raise() { embedding::raise_fault(context_, fault_.data(), tables(), bags()); }
  std::vector<int32_t> winners() const { return winners_.to_host(); }

  std::vector<float> forward(bool notes_faults = true) {
    test::Guarded<float> out(context_, c_.n() * c_.dim);
    embedding::table_bag(
        context_, {.tables = tables(),
                   .bags = bags(),
                   .pooling = c_.pooling,
                   .fault = notes_faults ? fault() : nullptr,
                   .winners = c_.pooling == Pooling::max ? winners_.matrix(c_.n(), c_.dim) : MatrixView<int32_t>{},
                   .out = out.matrix(c_.n(), c_.dim)});
    out.expect_intact();
    winners_.expect_intact();
    table_.expect_intact();
    EXPECT_TRUE(test::same_bits(table_.to_host(), c_.table)) << "the table changed";
    return out.to_host();
  }

  State update(bool notes_faults = true) {
    if (c_.pooling == Pooling::max) forward();
    const Buffer<float> grad(context_, c_.grad);
    test::Guarded<float> state1(context_, c_.state1), state2(context_, c_.state2);
    MatrixView<const int32_t> winners;
    if (c_.pooling == Pooling::max) winners = winners_.matrix(c_.n(), c_.dim);
    embedding::table_update(context_, {.grad = grad.matrix(c_.n(), c_.dim),
                                       .tables = tables(),
                                       .bags = bags(),
                                       .pooling = c_.pooling,
                                       .winners = winners,
                                       .fault = notes_faults ? fault() : nullptr,
                                       .optimizer = c_.optimizer,
                                       .params = c_.adam,
                                       .state1 = state1.data(),
                                       .state2 = state2.data()});
    table_.expect_intact();
    state1.expect_intact();
    state2.expect_intact();
    return {table_.to_host(), state1.to_host(), state2.to_host()};
  }

 private:
  Context& context_;
  const Case& c_;
  bool by_entities_;
  test::DeviceCsr bags_;
  Buffer<int32_t> ids_;
  test::Guarded<float> table_;
  test::Guarded<int32_t> winners_;
  Buffer<uint64_t> fault_;
};

void expect_right(const Case& c, const std::vector<float>& out) {
  const ref::Sums expected = ref::bag(test::to_double(c.table), c.dim, c.bags, c.ids);
  ASSERT_EQ(out.size(), expected.value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    // A float sum of as many products as the bag has rows; an empty bag is exactly zero.
    EXPECT_NEAR(out[i], expected.value[i], expected.bound(i)) << "element " << i << ", dim " << c.dim;
  }
}

void expect_right(const Case& c, const State& after) {
  const ref::Sums grad = ref::bag_backward(test::to_double(c.grad), c.dim, c.bags, c.ids);
  ASSERT_EQ(after.table.size(), grad.value.size());
  for (size_t i = 0; i < grad.value.size(); ++i) {
    if (grad.n_terms[i] == 0) {
      EXPECT_EQ(after.table[i], c.table[i]) << "a row that no bag touches moved, element " << i;
      EXPECT_EQ(after.state1[i], c.state1[i]) << "a row that no bag touches moved, element " << i;
      EXPECT_EQ(after.state2[i], c.state2[i]) << "a row that no bag touches moved, element " << i;
      continue;
    }
    const ref::AdamElement start{c.table[i], c.state1[i], c.state2[i]};
    const ref::AdamElement expected = ref::adam(grad.value[i], c.adam, start);
    // The gradient is a float sum of n_terms products; the step then rounds once an operation.
    const ref::AdamElement bound = ref::adam_bound(grad.value[i], grad.bound(i), c.adam, start);
    EXPECT_NEAR(after.state1[i], expected.moment1, bound.moment1) << "element " << i;
    EXPECT_NEAR(after.state2[i], expected.moment2, bound.moment2) << "element " << i;
    EXPECT_NEAR(after.table[i], expected.parameter, bound.parameter) << "element " << i;
  }
}

// The message of raise_fault; empty if it does not throw.
std::string raised(OnDevice& device) {
  try {
    device.raise();
  } catch (const DataError& error) {
    return error.what();
  }
  return {};
}

class TableBagOfEntitiesTest : public test::OpTest {};

TEST_P(TableBagOfEntitiesTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_ids : {0, 1, 7, 8, 9, 31, 33, 255, 256, 257, 600}) {
      const Case c = random_case(n_ids, 90, 50, 12, 6, weighted);
      expect_right(c, OnDevice(context(), c).forward());
    }
    for (const int64_t dim : {1, 3, 16, 31, 32, 33, 64, 100, 257, 1500}) {
      const Case c = random_case(40, 25, 30, dim, 5, weighted);
      expect_right(c, OnDevice(context(), c).forward());
    }
    for (const int64_t n_rows : {1, 2, 300}) {
      const Case c = random_case(35, 20, n_rows, 9, 200, weighted);
      expect_right(c, OnDevice(context(), c).forward());
    }
  }
}

TEST_P(TableBagOfEntitiesTest, SameBitsAsTheBagsWrittenOut) {
  for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
    for (const int64_t dim : {1, 3, 8, 40, 64, 300}) {
      Case c = random_case(301, 50, 70, dim, 9, pooling != Pooling::max && dim != 3);
      c.pooling = pooling;
      OnDevice named(context(), c), plain(context(), c, false);
      EXPECT_TRUE(test::same_bits(named.forward(), plain.forward())) << dim;
      if (pooling == Pooling::max) {
        EXPECT_EQ(named.winners(), plain.winners()) << dim;
      }
      EXPECT_EQ(raised(named), "");
    }
  }
}

TEST_P(TableBagOfEntitiesTest, SameBitsByEveryInstructionSet) {
  for (const int64_t dim : {1, 8, 15, 16, 64, 100, 264}) {
    const Case c = random_case(300, 50, 70, dim, 9, true);
    const std::vector<float> fastest = OnDevice(context(), c).forward();
    for (const char* name : {"avx512", "avx2", "portable"}) {
      setenv("SHEAF_ROW_SUM", name, 1);
      EXPECT_TRUE(test::same_bits(OnDevice(context(), c).forward(), fastest)) << name << ", dim " << dim;
    }
    unsetenv("SHEAF_ROW_SUM");
  }
}

// Bags of 0 to 2,500 rows: some beyond what the CPU backend copies together, some in between.
TEST_P(TableBagOfEntitiesTest, IntegersAreExactAndBagsMayBeLong) {
  for (const int64_t dim : {1, 5, 16}) {
    Case c = random_case(37, 20, 3000, dim, 2500, true);
    for (float& value : c.table) value = std::nearbyint(value * 30.0f);
    for (float& value : c.bags.values) value = std::nearbyint(value * 9.0f);
    const ref::Sums expected = ref::bag(test::to_double(c.table), c.dim, c.bags, c.ids);
    const std::vector<float> out = OnDevice(context(), c).forward();
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], expected.value[i]) << i;
  }
}

TEST_P(TableBagOfEntitiesTest, OneRowOfWeightOneIsALookup) {
  Case c = random_case(100, 1, 40, 33, 1, false);
  c.bags = {};
  c.bags.n_columns = 40;
  for (int32_t entity = 0; entity < 40; ++entity) {
    c.bags.columns.push_back(39 - entity);
    c.bags.row_offsets.push_back(entity + 1);
  }
  c.ids = test::random_ints(100, 73, 0, 39);
  const std::vector<float> out = OnDevice(context(), c).forward();
  std::vector<int32_t> rows;
  for (size_t n = 0; n < 100; ++n) {
    rows.push_back(39 - c.ids[n]);
    for (size_t d = 0; d < 33; ++d) EXPECT_EQ(out[n * 33 + d], c.table[static_cast<size_t>(rows.back()) * 33 + d]);
  }
  const Buffer<int32_t> device_rows(context(), rows);
  const Buffer<float> table(context(), c.table);
  Buffer<float> looked_up(context(), 100 * 33);
  embedding::bag_sums(context(), table.matrix(40, 33), embedding::lookup(device_rows.view()),
                      looked_up.matrix(100, 33));
  EXPECT_TRUE(test::same_bits(looked_up.to_host(), out));
}

TEST_P(TableBagOfEntitiesTest, EmptyBagsGiveZeros) {
  for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
    Case c = random_case(65, 3, 10, 17, 4, pooling != Pooling::max);
    c.pooling = pooling;
    c.bags.row_offsets = {0, 0, 0, 0};
    c.bags.columns.clear();
    c.bags.values.clear();
    for (const float value : OnDevice(context(), c).forward()) EXPECT_EQ(value, 0.0f);
  }
}

TEST_P(TableBagOfEntitiesTest, FirstAndLastEntityAndRow) {
  Case c = random_case(1, 1, 5, 2, 2, false);
  c.bags.row_offsets = {0, 2, 2, 3};
  c.bags.columns = {0, 4, 4};
  c.ids = {2, 0, 1, 0, 2};
  c.table = {1, 2, 3, 4, 5, 6, 7, 8, 16, 32};
  EXPECT_EQ(OnDevice(context(), c).forward(), (std::vector<float>{16, 32, 17, 34, 0, 0, 17, 34, 16, 32}));
}

TEST_P(TableBagOfEntitiesTest, NanStaysInItsColumn) {
  Case c = random_case(4, 1, 3, 3, 3, false);
  c.bags.row_offsets = {0, 3};
  c.bags.columns = {0, 1, 2};
  c.ids = {0, 0, 0, 0};
  c.table = {1, 2, 3, 4, std::numeric_limits<float>::quiet_NaN(), 6, 7, 8, std::numeric_limits<float>::infinity()};
  const std::vector<float> out = OnDevice(context(), c).forward();
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(out[n * 3], 12.0f);
    EXPECT_TRUE(std::isnan(out[n * 3 + 1]));
    EXPECT_EQ(out[n * 3 + 2], std::numeric_limits<float>::infinity());
  }
}

TEST_P(TableBagOfEntitiesTest, SameBitsOnEveryRunAndAnyThreads) {
  for (const int64_t dim : {1, 24}) {
    const Case c = random_case(2001, 300, 200, dim, 40, true);
    const std::vector<float> first = OnDevice(context(), c).forward();
    for (const int threads : {1, 2, 3}) {
      EXPECT_TRUE(test::same_bits(OnDevice(*make_context(threads), c).forward(), first)) << threads;
    }
  }
}

TEST_P(TableBagOfEntitiesTest, OffsetsBeyond2To31) {
  Case c = random_case(90, 40, 30, 8, 5, true);
  c.optimizer = Optimizer::sgd;
  c.adam.decoupled_decay = 0.0f;
  OnDevice near(context(), c);
  std::vector<int64_t> far_offsets = c.bags.row_offsets;
  for (int64_t& offset : far_offsets) offset += kFirstEntry;
  const Buffer<int64_t> offsets(context(), far_offsets);
  embedding::Bags bags = near.bags();
  bags.offsets = offsets.data();
  bags.first_entry = kFirstEntry;
  Buffer<float> out(context(), c.n() * c.dim);
  embedding::table_bag(context(), {.tables = near.tables(), .bags = bags, .out = out.matrix(c.n(), c.dim)});
  EXPECT_TRUE(test::same_bits(out.to_host(), near.forward()));
  Buffer<float> table(context(), c.table);
  const Buffer<float> grad(context(), c.grad);
  embedding::table_update(context(), {.grad = grad.matrix(c.n(), c.dim),
                                      .tables = embedding::table_of(table.matrix(c.n_rows, c.dim)),
                                      .bags = bags,
                                      .params = c.adam});
  EXPECT_TRUE(test::same_bits(table.to_host(), near.update().table));
}

// A case with a wrong id in the bag of entity 2, or with a wrong entity as bag 4; `without` is the case that should
// come out.
struct Wrong {
  Case c, without;
};

Wrong wrong_id(int32_t id, int64_t dim) {
  Wrong w{random_case(60, 12, 20, dim, 4, true), {}};
  w.c.bags.row_offsets = {0, 1, 3, 7, 7, 9, 11, 12, 14, 15, 17, 18, 20};
  w.c.bags.columns = test::random_ints(20, 86, 0, 19);
  w.c.bags.values = test::random_floats(20, 87);
  w.c.ids[5] = 2;
  w.without = w.c;
  w.c.bags.columns[4] = id;
  w.without.bags.columns.erase(w.without.bags.columns.begin() + 4);
  w.without.bags.values.erase(w.without.bags.values.begin() + 4);
  for (size_t i = 3; i < w.without.bags.row_offsets.size(); ++i) --w.without.bags.row_offsets[i];
  return w;
}

Wrong wrong_entity(int32_t entity, int64_t dim) {
  Wrong w{random_case(60, 12, 20, dim, 4, true), {}};
  w.c.bags.row_offsets.push_back(w.c.bags.row_offsets.back());  // an empty bag, number 12
  w.without = w.c;
  w.without.ids[4] = 12;
  w.c.ids[4] = entity;
  w.c.ids[9] = entity;
  w.without.ids[9] = 12;
  w.c.bags.row_offsets.pop_back();
  return w;
}

constexpr int32_t kWrong[] = {-1, 20, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()};

TEST_P(TableBagOfEntitiesTest, WrongIdsAreReportedAndLeftOut) {
  for (const int32_t id : kWrong) {
    for (const int64_t dim : {1, 16, 33}) {
      const Wrong w = wrong_id(id, dim);
      OnDevice device(context(), w.c);
      EXPECT_TRUE(test::same_bits(device.forward(), OnDevice(context(), w.without).forward())) << id;
      const std::string text = raised(device);
      EXPECT_NE(text.find("id " + std::to_string(id) + " at position 4 (entity 2,"), std::string::npos) << text;
      EXPECT_EQ(raised(device), "");
      EXPECT_TRUE(test::same_bits(device.forward(false), OnDevice(context(), w.without).forward()));
      EXPECT_EQ(raised(device), "") << "recorded without a word to record it in";
    }
  }
}

TEST_P(TableBagOfEntitiesTest, WrongEntitiesAreReportedAndEmpty) {
  for (const int32_t entity : {-1, 12, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    for (const int64_t dim : {1, 16, 33}) {
      for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
        Wrong w = wrong_entity(entity, dim);
        for (Case* c : {&w.c, &w.without}) {
          c->pooling = pooling;
          if (pooling == Pooling::max) c->bags.values.clear();
        }
        OnDevice device(context(), w.c);
        EXPECT_TRUE(test::same_bits(device.forward(), OnDevice(context(), w.without).forward())) << entity;
        const std::string text = raised(device);
        EXPECT_NE(text.find("entity " + std::to_string(entity) + " of bag 4 is outside the 12 entities"),
                  std::string::npos)
            << text;
        device.forward(false);
        EXPECT_EQ(raised(device), "");
      }
    }
  }
}

TEST_P(TableBagOfEntitiesTest, RefusesWrongArguments) {
  const Case c = random_case(4, 6, 5, 3, 2, true);
  OnDevice device(context(), c);
  Buffer<float> out(context(), 20);
  const Buffer<int64_t> first_row(context(), std::vector<int64_t>{0, 2, 5});
  const embedding::TableBagArgs good{.tables = device.tables(), .bags = device.bags(), .out = {out.data(), 4, 3}};
  EXPECT_NO_THROW(embedding::table_bag(context(), good));
  embedding::TableBagArgs bad = good;
  bad.out.rows = 5;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
  bad = good;
  bad.out.cols = 4;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
  bad = good;
  bad.bags.n_columns = 6;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
  bad = good;
  bad.tables.data = nullptr;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
  bad = good;
  bad.bags.offsets = nullptr;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
  bad = good;
  bad.tables.first_row = first_row.data();
  bad.tables.n_tables = 2;
  EXPECT_THROW(embedding::table_bag(context(), bad), UsageError);
}

SHEAF_ON_EVERY_BACKEND(TableBagOfEntitiesTest);

class TableSortOfEntitiesTest : public test::OpTest {};

TEST_P(TableSortOfEntitiesTest, OrdersSlotsByRow) {
  for (const int64_t n_ids : {50, 3000}) {
    Case c = random_case(n_ids, 30, 40, 2, 5, false);
    c.max_bag = 7;
    c.bags.columns[3] = -2;
    c.ids[8] = 30;
    OnDevice device(context(), c);
    const int64_t n = c.n() * c.max_bag;
    test::Guarded<uint32_t> rows(context(), n), entries(context(), n);
    test::Guarded<int32_t> bags(context(), n);
    embedding::table_sort(context(),
                          {device.tables(), device.bags(), device.fault(), {rows.view(), entries.view(), bags.view()}});
    std::vector<std::pair<uint32_t, uint32_t>> expected;
    for (int64_t b = 0; b < c.n(); ++b) {
      const auto entity = static_cast<size_t>(c.ids[static_cast<size_t>(b)]);
      if (entity >= 30) continue;
      for (int64_t e = c.bags.row_offsets[entity]; e < c.bags.row_offsets[entity + 1]; ++e) {
        const int32_t id = c.bags.columns[static_cast<size_t>(e)];
        if (id >= 0) {
          expected.emplace_back(static_cast<uint32_t>(id),
                                static_cast<uint32_t>(b * c.max_bag + e - c.bags.row_offsets[entity]));
        }
      }
    }
    std::ranges::sort(expected);
    const std::vector<uint32_t> got_rows = rows.to_host(), got_entries = entries.to_host();
    const std::vector<int32_t> got_bags = bags.to_host();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(got_rows[i], expected[i].first) << i;
      EXPECT_EQ(got_entries[i], expected[i].second) << i;
      EXPECT_EQ(got_bags[expected[i].second], static_cast<int32_t>(expected[i].second) / 7) << i;
    }
    for (size_t i = expected.size(); i < got_rows.size(); ++i) EXPECT_EQ(got_rows[i], 40u) << i;
    rows.expect_intact();
    entries.expect_intact();
    bags.expect_intact();
    EXPECT_NE(raised(device).find("id -2 at position 3"), std::string::npos);
  }
}

TEST_P(TableSortOfEntitiesTest, OneSortServesTwoTables) {
  Case c = random_case(300, 60, 50, 16, 4, true);
  Case bias = random_case(300, 60, 50, 1, 4, true);
  c.max_bag = bias.max_bag = 6;
  const int64_t n = c.n() * c.max_bag;
  Buffer<uint32_t> rows(context(), n), entries(context(), n);
  Buffer<int32_t> bags(context(), n);
  OnDevice device(context(), c);
  embedding::table_sort(context(),
                        {device.tables(), device.bags(), nullptr, {rows.view(), entries.view(), bags.view()}});
  for (const Case* one : {&c, &bias}) {
    Buffer<float> table(context(), one->table), state1(context(), one->state1), state2(context(), one->state2);
    const Buffer<float> grad(context(), one->grad);
    embedding::TableUpdateArgs args{
        .grad = grad.matrix(one->n(), one->dim),
        .tables = embedding::table_of(table.matrix(50, one->dim)),
        .bags = device.bags(),
        .optimizer = Optimizer::adam,
        .params = one->adam,
        .state1 = state1.data(),
        .state2 = state2.data(),
        .sorted = {std::as_const(rows).view(), std::as_const(entries).view(), std::as_const(bags).view()}};
    embedding::table_update(context(), args);
    EXPECT_TRUE(test::same_bits(table.to_host(), OnDevice(context(), *one).update().table));
    --args.sorted.rows.size;
    EXPECT_THROW(embedding::table_update(context(), args), UsageError);
  }
}

SHEAF_ON_EVERY_BACKEND(TableSortOfEntitiesTest);

class TableUpdateOfEntitiesTest : public test::OpTest {};

TEST_P(TableUpdateOfEntitiesTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_ids : {0, 1, 31, 33, 255, 257, 700}) {
      const Case c = random_case(n_ids, 120, 400, 10, 4, weighted);
      expect_right(c, OnDevice(context(), c).update());
    }
    for (const int64_t dim : {1, 16, 31, 33, 100, 1030, 2052}) {
      const Case c = random_case(50, 30, 40, dim, 3, weighted);
      expect_right(c, OnDevice(context(), c).update());
    }
    for (const int64_t n_rows : {1, 2, 255, 256, 257}) {  // around the widths of the sort's key
      const Case c = random_case(60, 40, n_rows, 5, 9, weighted);
      expect_right(c, OnDevice(context(), c).update());
    }
  }
}

TEST_P(TableUpdateOfEntitiesTest, SameBitsAsTheBagsWrittenOut) {
  for (const Optimizer optimizer : {Optimizer::sgd, Optimizer::rowwise_adagrad, Optimizer::adam, Optimizer::rmsprop,
                                    Optimizer::adagrad, Optimizer::momentum}) {
    for (const Pooling pooling : {Pooling::sum, Pooling::mean, Pooling::max}) {
      for (const int64_t dim : {1, 8, 33}) {
        Case c = random_case(801, 50, 70, dim, 6, pooling != Pooling::max);
        c.max_bag = 7;
        c.pooling = pooling;
        c.optimizer = optimizer;
        if (optimizer != Optimizer::adam) c.adam.decoupled_decay = 0.0f;
        const State named = OnDevice(context(), c).update();
        EXPECT_TRUE(named.same_bits(OnDevice(context(), c, false).update()))
            << static_cast<int>(optimizer) << ", " << static_cast<int>(pooling) << ", dim " << dim;
        EXPECT_FALSE(test::same_bits(named.table, c.table));
      }
    }
  }
}

TEST_P(TableUpdateOfEntitiesTest, OneRowTakesEveryGradient) {
  for (const int64_t dim : {1, 3}) {
    Case c = random_case(3000, 1, 5, dim, 1, false);
    c.bags.row_offsets = {0, 1};
    c.bags.columns = {4};
    expect_right(c, OnDevice(context(), c).update());
  }
}

// Rows of up to 2,000 occurrences: sums over several segments, exact in every order.
TEST_P(TableUpdateOfEntitiesTest, IntegersAreExact) {
  for (const int64_t dim : {1, 6}) {
    Case c = random_case(2000, 7, 30, dim, 3, true);
    c.optimizer = Optimizer::sgd;
    c.adam = {.learning_rate = 1.0f};
    c.bags.columns[0] = 0;
    std::fill(c.table.begin(), c.table.end(), 0.0f);
    for (float& value : c.grad) value = std::nearbyint(value * 20.0f);
    for (float& value : c.bags.values) value = std::nearbyint(value * 9.0f);
    const ref::Sums sums = ref::bag_backward(test::to_double(c.grad), dim, c.bags, c.ids);
    const State after = OnDevice(context(), c).update();
    for (size_t i = 0; i < after.table.size(); ++i) EXPECT_EQ(after.table[i], -sums.value[i]) << i;
  }
}

TEST_P(TableUpdateOfEntitiesTest, LastAndFirstRow) {
  Case c = random_case(4, 1, 256, 2, 2, false);
  c.bags.row_offsets = {0, 2};
  c.bags.columns = {0, 255};
  c.ids = {0, 0, 0, 0};
  expect_right(c, OnDevice(context(), c).update());
}

TEST_P(TableUpdateOfEntitiesTest, EmptyBagsTouchNothing) {
  Case c = random_case(70, 2, 9, 6, 2, true);
  c.bags.row_offsets = {0, 0, 0};
  c.bags.columns.clear();
  c.bags.values.clear();
  EXPECT_TRUE(OnDevice(context(), c).update().same_bits({c.table, c.state1, c.state2}));
}

TEST_P(TableUpdateOfEntitiesTest, SlackInMaxBagChangesNothing) {
  for (const int64_t dim : {1, 7}) {
    Case c = random_case(90, 40, 33, dim, 3, true);
    const State tight = OnDevice(context(), c).update();
    c.max_bag = 11;
    EXPECT_TRUE(OnDevice(context(), c).update().same_bits(tight));
  }
}

TEST_P(TableUpdateOfEntitiesTest, EntriesBeyondMaxBagAreLeftOut) {
  Case c = random_case(90, 40, 33, 7, 4, true);
  Case less = c;
  c.max_bag = 2;
  less.bags = {};
  less.bags.n_columns = 33;
  for (size_t entity = 0; entity < 40; ++entity) {
    const auto begin = static_cast<size_t>(c.bags.row_offsets[entity]);
    const size_t end = std::min(begin + 2, static_cast<size_t>(c.bags.row_offsets[entity + 1]));
    for (size_t e = begin; e < end; ++e) {
      less.bags.columns.push_back(c.bags.columns[e]);
      less.bags.values.push_back(c.bags.values[e]);
    }
    less.bags.row_offsets.push_back(static_cast<int64_t>(less.bags.columns.size()));
  }
  EXPECT_TRUE(OnDevice(context(), c).update().same_bits(OnDevice(context(), less).update()));
}

TEST_P(TableUpdateOfEntitiesTest, GradientsAddInOccurrenceOrder) {
  // 2^30 swallows a 1 that is added before it is taken away again, and keeps one that comes after.
  for (const int64_t dim : {1, 2}) {
    Case c = random_case(3, 1, 1, dim, 1, false);
    c.bags.row_offsets = {0, 1};
    c.bags.columns = {0};
    c.ids = {0, 0, 0};
    std::fill(c.state1.begin(), c.state1.end(), 0.0f);
    c.adam = {.beta1 = 0.0f};  // m becomes g itself
    const auto grads = [&](const std::vector<float>& of_bags) {
      c.grad.clear();
      for (const float g : of_bags) c.grad.insert(c.grad.end(), static_cast<size_t>(dim), g);
    };
    grads({0x1.0p30f, 1.0f, -0x1.0p30f});
    EXPECT_EQ(OnDevice(context(), c).update().state1[0], 0.0f);
    grads({0x1.0p30f, -0x1.0p30f, 1.0f});
    EXPECT_EQ(OnDevice(context(), c).update().state1[0], 1.0f);
  }
}

TEST_P(TableUpdateOfEntitiesTest, GradientAgreesWithFiniteDifferences) {
  Case c = random_case(40, 15, 12, 5, 4, true);
  c.adam = {.beta1 = 0.0f};  // m becomes g itself
  const State after = OnDevice(context(), c).update();
  const ref::Sums terms = ref::bag_backward(test::to_double(c.grad), c.dim, c.bags, c.ids);
  const auto forward = [&](const std::vector<double>& table) {
    const ref::Sums out = ref::bag(table, c.dim, c.bags, c.ids);
    return std::inner_product(out.value.begin(), out.value.end(), c.grad.begin(), 0.0);
  };
  for (size_t i = 0; i < c.table.size(); ++i) {
    if (terms.n_terms[i] == 0) continue;
    // The forward is linear, so the difference errs only by double's rounding of a sum below 1000, over 2h: below 1e-9.
    EXPECT_NEAR(after.state1[i], test::central_difference(forward, test::to_double(c.table), i, 0x1.0p-10),
                terms.bound(i) + 1e-9)
        << "element " << i;
  }
}

TEST_P(TableUpdateOfEntitiesTest, SameBitsOnEveryRunAndAnyThreads) {
  for (const int64_t dim : {1, 100}) {
    Case c = random_case(6000, 3000, 4000, dim, 6, true);
    for (size_t e = 0; e < c.bags.columns.size(); e += 3) c.bags.columns[e] = 17;  // hot
    const State first = OnDevice(context(), c).update();
    for (const int threads : {1, 2, 3}) {
      EXPECT_TRUE(OnDevice(*make_context(threads), c).update().same_bits(first)) << threads;
    }
  }
}

TEST_P(TableUpdateOfEntitiesTest, WrongIdsAndEntitiesTouchNothingElse) {
  for (const int64_t dim : {1, 16}) {
    for (const bool notes_faults : {false, true}) {
      const Wrong by_id = wrong_id(20, dim);
      OnDevice of_id(context(), by_id.c);
      EXPECT_TRUE(of_id.update(notes_faults).same_bits(OnDevice(context(), by_id.without).update()));
      EXPECT_EQ(raised(of_id).empty(), !notes_faults);
      const Wrong by_entity = wrong_entity(12, dim);
      OnDevice of_entity(context(), by_entity.c);
      EXPECT_TRUE(of_entity.update(notes_faults).same_bits(OnDevice(context(), by_entity.without).update()));
      const std::string text = raised(of_entity);
      EXPECT_EQ(text.find("entity 12 of bag 4") != std::string::npos, notes_faults) << text;
    }
  }
}

TEST_P(TableUpdateOfEntitiesTest, RefusesWrongArguments) {
  const Case good = random_case(4, 6, 5, 3, 2, true);
  EXPECT_NO_THROW(OnDevice(context(), good).update());
  Case bad = good;
  bad.adam.step = 0;
  EXPECT_THROW(OnDevice(context(), bad).update(), UsageError);
  bad = good;
  bad.max_bag = 0;
  EXPECT_THROW(OnDevice(context(), bad).update(), UsageError);
  bad = good;
  bad.max_bag = int64_t{1} << 30;
  EXPECT_THROW(OnDevice(context(), bad).update(), UsageError);
  bad = good;
  bad.bags.n_columns = 6;
  EXPECT_THROW(OnDevice(context(), bad).update(), UsageError);
  bad = random_case(4, 6, 5, 1025, 2, true);
  bad.optimizer = Optimizer::rowwise_adagrad;
  bad.adam.decoupled_decay = 0.0f;
  EXPECT_THROW(OnDevice(context(), bad).update(), UsageError);
}

SHEAF_ON_EVERY_BACKEND(TableUpdateOfEntitiesTest);

}  // namespace
}  // namespace sheaf
