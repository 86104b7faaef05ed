#include <algorithm>
#include <numeric>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_update.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf::bench {
namespace {

constexpr int64_t kCategories = 100;
constexpr int64_t kBrands = 1000;

// Bags of `bag` rows drawn by Zipf's law, a row perhaps more than once, as the features of a recommender's samples are.
test::HostCsr zipf_bags(int64_t n_rows, int64_t n_bags, int64_t bag) {
  test::HostCsr bags;
  bags.n_columns = n_rows;
  bags.columns = zipf_ids(n_bags * bag, n_rows, 1.05, 25);
  for (int64_t n = 1; n <= n_bags; ++n) bags.row_offsets.push_back(n * bag);
  return bags;
}

// bag 1: every entity has its own row. bag 3: its category's, its brand's and its own, as items of a shop have. More:
// zipf_bags().
test::HostCsr entity_bags(const Shape& shape) {
  const int64_t n_rows = shape["n_rows"], bag = shape["bag"];
  if (bag > 3) return zipf_bags(n_rows, shape["ids"], bag);
  test::HostCsr bags;
  bags.n_columns = n_rows;
  const int64_t shared = bag == 3 ? kCategories + kBrands : 0;
  for (int64_t entity = 0; entity < n_rows - shared; ++entity) {
    if (bag == 3) {
      bags.columns.push_back(static_cast<int32_t>(entity % kCategories));
      bags.columns.push_back(static_cast<int32_t>(kCategories + entity % kBrands));
    }
    bags.columns.push_back(static_cast<int32_t>(shared + entity));
    bags.row_offsets.push_back(static_cast<int64_t>(bags.columns.size()));
  }
  return bags;
}

// A few entities are asked for all the time; every one of zipf_bags() once.
std::vector<int32_t> entity_ids(const Shape& shape, const test::HostCsr& bags, uint32_t seed) {
  if (shape["bag"] <= 3) return popular_ids(shape["ids"], bags.n_rows(), seed);
  std::vector<int32_t> ids(static_cast<size_t>(shape["ids"]));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// The bags of the ids one after another, as other systems take them: rows of sample n at [offsets[n], offsets[n + 1]).
void export_bags(const ArrayFolder& folder, const test::HostCsr& bags, const std::vector<int32_t>& ids) {
  test::HostCsr samples;
  for (const int32_t id : ids) {
    const auto entity = static_cast<size_t>(id);
    samples.columns.insert(samples.columns.end(), bags.columns.begin() + bags.row_offsets[entity],
                           bags.columns.begin() + bags.row_offsets[entity + 1]);
    samples.row_offsets.push_back(static_cast<int64_t>(samples.columns.size()));
  }
  folder.write("bags", samples);
}

class EntityBag final : public Case {
 public:
  EntityBag(Context& context, const Shape& shape)
      : context_(context),
        dim_(shape["dim"]),
        host_bags_(entity_bags(shape)),
        host_ids_(entity_ids(shape, host_bags_, 20)),
        host_table_(test::random_floats(shape["n_rows"] * dim_, 21)),
        table_(context, host_table_),
        bags_(context, host_bags_),
        ids_(context, host_ids_),
        out_(poisoned<float>(context, ids_.size() * dim_)),
        args_{.tables = embedding::table_of(table_.matrix(shape["n_rows"], dim_)),
              .bags = embedding::bags_of(bags_.view(), ids_.view()),
              .out = out_.matrix(ids_.size(), dim_)} {}

  void run() override { embedding::table_bag(context_, args_); }

  std::string fault() override {
    std::vector<int32_t> ids;
    std::vector<float> got;
    const std::vector<float> out = out_.to_host();
    for (const int64_t n : spread(ids_.size(), 1000)) {
      ids.push_back(host_ids_[static_cast<size_t>(n)]);
      got.insert(got.end(), out.begin() + n * dim_, out.begin() + (n + 1) * dim_);
    }
    return difference("out", got, ref::bag(to_double(host_table_), dim_, host_bags_, ids));
  }

  OpCost cost() const override { return embedding::table_bag_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("table", host_table_, {args_.tables.n_rows, dim_});
    export_bags(folder, host_bags_, host_ids_);
    folder.write("entity_bags", host_bags_);
    folder.write("entities", host_ids_, {ids_.size()});
    folder.write("out", out_.to_host(), {ids_.size(), dim_});
  }
  int64_t gathered_row_bytes() const override { return dim_ * static_cast<int64_t>(sizeof(float)); }

 private:
  Context& context_;
  int64_t dim_;
  test::HostCsr host_bags_;
  std::vector<int32_t> host_ids_;
  std::vector<float> host_table_;
  Buffer<float> table_;
  test::DeviceCsr bags_;
  Buffer<int32_t> ids_;
  Buffer<float> out_;
  embedding::TableBagArgs args_;
};

class EntityUpdate final : public Case {
 public:
  EntityUpdate(Context& context, const Shape& shape)
      : context_(context),
        n_rows_(shape["n_rows"]),
        dim_(shape["dim"]),
        host_bags_(entity_bags(shape)),
        host_ids_(entity_ids(shape, host_bags_, 22)),
        host_grad_(test::random_floats(shape["ids"] * dim_, 23)),
        host_table_(test::random_floats(n_rows_ * dim_, 24)),
        grad_(context, host_grad_),
        bags_(context, host_bags_),
        ids_(context, host_ids_),
        table_(context, host_table_),
        moment1_(Buffer<float>::zeros(context, n_rows_ * dim_)),
        moment2_(Buffer<float>::zeros(context, n_rows_ * dim_)),
        args_{.grad = grad_.matrix(ids_.size(), dim_),
              .tables = embedding::table_of(table_.matrix(n_rows_, dim_)),
              .bags = embedding::bags_of(bags_.view(), ids_.view(), shape["bag"]),
              .optimizer = embedding::Optimizer::adam,
              .state1 = moment1_.data(),
              .state2 = moment2_.data()} {}

  void run() override { embedding::table_update(context_, args_); }

  std::string fault() override {
    const ref::Sums grad = ref::bag_backward(to_double(host_grad_), dim_, host_bags_, host_ids_);
    const std::vector<float> table = table_.to_host();
    for (size_t i = 0; i < table.size(); ++i) {
      const ref::AdamElement before{host_table_[i], 0.0, 0.0};
      const bool touched = grad.n_terms[i] > 0;
      const double expected = touched ? ref::adam(grad.value[i], args_.params, before).parameter : before.parameter;
      const double bound =
          touched ? ref::adam_bound(grad.value[i], grad.bound(i), args_.params, before).parameter : 0.0;
      const std::string fault = difference("table", static_cast<int64_t>(i), table[i], expected, bound);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override {
    std::vector<int32_t> rows;
    for (const int32_t id : host_ids_) {
      const auto entity = static_cast<size_t>(id);
      rows.insert(rows.end(), host_bags_.columns.begin() + host_bags_.row_offsets[entity],
                  host_bags_.columns.begin() + host_bags_.row_offsets[entity + 1]);
    }
    std::sort(rows.begin(), rows.end());
    return embedding::table_update_cost(args_, std::unique(rows.begin(), rows.end()) - rows.begin());
  }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("table", host_table_, {n_rows_, dim_});
    export_bags(folder, host_bags_, host_ids_);
    folder.write("grad", host_grad_, {ids_.size(), dim_});
    folder.write(
        "adam",
        std::vector<float>{args_.params.learning_rate, args_.params.beta1, args_.params.beta2, args_.params.epsilon},
        {4});
    folder.write("table_after", table_.to_host(), {n_rows_, dim_});
  }
  int64_t gathered_row_bytes() const override { return dim_ * static_cast<int64_t>(sizeof(float)); }

 private:
  Context& context_;
  int64_t n_rows_, dim_;
  test::HostCsr host_bags_;
  std::vector<int32_t> host_ids_;
  std::vector<float> host_grad_, host_table_;
  Buffer<float> grad_;
  test::DeviceCsr bags_;
  Buffer<int32_t> ids_;
  Buffer<float> table_, moment1_, moment2_;
  embedding::TableUpdateArgs args_;
};

Shape shape(int64_t n_rows, int64_t dim, int64_t ids, int64_t bag) {
  return {{"n_rows", n_rows}, {"dim", dim}, {"ids", ids}, {"bag", bag}};
}

}  // namespace

void add_embedding(Suite& suite) {
  const std::vector<Shape> quick{shape(100000, 64, 8192, 1), shape(100000, 64, 8192, 3), shape(100000, 1, 8192, 3)};
  const std::vector<Shape> full{
      shape(1000000, 64, 1 << 20, 1), shape(1000000, 128, 1 << 20, 1), shape(1000000, 64, 1 << 20, 3),
      shape(1000000, 64, 4096, 20),   shape(100000, 1, 8192, 1),       shape(100000, 16, 8192, 1),
      shape(100000, 16, 8192, 3),     shape(100000, 32, 8192, 3),      shape(5000, 16, 2048, 1),
      shape(5000, 1, 2048, 1),        shape(5000, 64, 2048, 3),        shape(5000, 1, 2048, 3)};
  suite.add<EntityBag>("embedding", "table_bag_entities", quick, full);
  suite.add<EntityUpdate>("embedding", "table_update_entities", quick, full);
}

}  // namespace sheaf::bench
