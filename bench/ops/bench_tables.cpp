#include <algorithm>
#include <cmath>
#include <numeric>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/embedding/table_sort.hpp"
#include "kernels/embedding/table_update.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf::bench {
namespace {

using embedding::Optimizer;
using embedding::TableType;

TableType type_of_bits(int64_t bits) {
  return bits == 32 ? TableType::f32 : bits == 16 ? TableType::bf16 : TableType::i8;
}

constexpr int64_t kPiece = int64_t{1} << 24;  // elements of a table that the host holds at a time

// Element i of every table before the op, in [-1, 1). It is a hash, so that tables larger than the host's memory can be
// checked.
template <class T>
T element(int64_t i) {
  auto x = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9u;
  const float value = static_cast<float>(static_cast<int32_t>(x >> 32)) * 0x1.0p-31f;
  if constexpr (std::is_same_v<T, int8_t>) {
    return static_cast<int8_t>(value * 127.0f);
  } else {
    return nearest<T>(value);
  }
}

// axes: tables of n_rows, each with `bags` bags of `bag` ids; zipf is the exponent in hundredths, 0 for uniform ids.
struct Inputs {
  Inputs(Context& context, const Shape& shape)
      : dim(shape["dim"]),
        n_tables(shape["tables"]),
        n_rows(n_tables * shape["n_rows"]),
        n_bags(n_tables * shape["bags"]),
        bag(shape["bag"]),
        type(type_of_bits(shape["bits"])) {
    const int64_t entries = n_bags * bag;
    host_ids = shape["zipf"] == 0 ? test::random_ints(entries, 30, 0, static_cast<int32_t>(shape["n_rows"]) - 1)
                                  : zipf_ids(entries, shape["n_rows"], static_cast<double>(shape["zipf"]) / 100.0, 30);
    for (int64_t b = 0; b <= n_bags; ++b) host_offsets.push_back(b * bag);
    for (int64_t t = 0; t <= n_tables; ++t) host_first_row.push_back(t * shape["n_rows"]);
    storage = Buffer<uint8_t>(context, n_rows * dim * embedding::bytes_of(type));
    embedding::with_element(type, [&]<class T>(T) {
      std::vector<T> piece(static_cast<size_t>(std::min(kPiece, n_rows * dim)));
      for (int64_t from = 0; from < n_rows * dim; from += kPiece) {
        const int64_t size = std::min(kPiece, n_rows * dim - from);
        parallel_for(context, size, int64_t{1} << 16, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) piece[static_cast<size_t>(i)] = element<T>(from + i);
        });
        context.copy_from_host(storage.data() + from * int64_t{sizeof(T)}, piece.data(),
                               static_cast<size_t>(size) * sizeof(T));
        context.synchronize();
      }
    });
    if (type == TableType::i8) scales = Buffer<float>(context, std::vector<float>(static_cast<size_t>(n_rows), 1.0f));
    first_row = Buffer<int64_t>(context, host_first_row);
    offsets = Buffer<int64_t>(context, host_offsets);
    ids = Buffer<int32_t>(context, host_ids);
    fault = Buffer<uint64_t>(context, 1);
    embedding::clear_fault(context, fault.data());
  }

  embedding::Tables tables() {
    return {.data = storage.data(),
            .scales = type == TableType::i8 ? scales.data() : nullptr,
            .first_row = n_tables > 1 ? first_row.data() : nullptr,
            .type = type,
            .n_rows = n_rows,
            .dim = dim,
            .n_tables = n_tables};
  }
  embedding::Bags bags() const { return {.ids = ids.view(), .offsets = offsets.data(), .n_bags = n_bags}; }
  size_t storage_row(int64_t entry) const {
    const auto table = static_cast<size_t>(entry / bag / (n_bags / n_tables));
    return static_cast<size_t>(host_first_row[table] + host_ids[static_cast<size_t>(entry)]);
  }
  int64_t unique_rows() const {
    std::vector<size_t> rows;
    for (int64_t e = 0; e < n_bags * bag; ++e) rows.push_back(storage_row(e));
    std::sort(rows.begin(), rows.end());
    return std::unique(rows.begin(), rows.end()) - rows.begin();
  }
  float initial(int64_t at) const {
    float value = 0.0f;
    embedding::with_element(type, [&]<class T>(T) { value = to_float(element<T>(at)); });
    return value;
  }
  std::vector<float> initial_table() const {
    std::vector<float> values(static_cast<size_t>(n_rows * dim));
    for (size_t i = 0; i < values.size(); ++i) values[i] = initial(static_cast<int64_t>(i));
    return values;
  }
  // Bags of rows of the storage, one after another, as other systems take them.
  test::HostCsr csr() const {
    test::HostCsr csr;
    csr.n_columns = n_rows;
    csr.row_offsets = host_offsets;
    for (int64_t e = 0; e < n_bags * bag; ++e) csr.columns.push_back(static_cast<int32_t>(storage_row(e)));
    return csr;
  }

  int64_t dim, n_tables, n_rows, n_bags, bag;
  TableType type;
  std::vector<int32_t> host_ids;
  std::vector<int64_t> host_offsets, host_first_row;
  Buffer<uint8_t> storage;
  Buffer<float> scales;
  Buffer<int64_t> first_row, offsets;
  Buffer<int32_t> ids;
  Buffer<uint64_t> fault;
};

class TableBag final : public Case {
 public:
  TableBag(Context& context, const Shape& shape)
      : context_(context), in_(context, shape), out_(poisoned<float>(context, in_.n_bags * in_.dim)) {
    args_.tables = in_.tables();
    args_.bags = in_.bags();
    args_.fault = in_.fault.data();
    args_.out = out_.matrix(in_.n_bags, in_.dim);
  }
  void run() override { embedding::table_bag(context_, args_); }
  std::string fault() override {
    const std::vector<float> out = out_.to_host();
    const std::vector<int64_t> bags = spread(in_.n_bags, 1000);
    ref::Sums expected(static_cast<int64_t>(bags.size()) * in_.dim);
    std::vector<float> got;
    for (size_t i = 0; i < bags.size(); ++i) {
      for (int64_t e = bags[i] * in_.bag; e < (bags[i] + 1) * in_.bag; ++e) {
        const int64_t row = static_cast<int64_t>(in_.storage_row(e)) * in_.dim;
        for (int64_t c = 0; c < in_.dim; ++c)
          expected.add(static_cast<int64_t>(i) * in_.dim + c, static_cast<double>(in_.initial(row + c)));
      }
      got.insert(got.end(), out.begin() + bags[i] * in_.dim, out.begin() + (bags[i] + 1) * in_.dim);
    }
    return difference("out", got, expected);
  }
  // table_bag_cost() takes every lookup for another row; here each row counts once.
  OpCost cost() const override {
    OpCost cost = embedding::table_bag_cost(args_);
    cost.bytes -= (in_.n_bags * in_.bag - in_.unique_rows()) * in_.dim * embedding::bytes_of(in_.type);
    return cost;
  }
  void export_arrays(const ArrayFolder& folder) const override {
    if (in_.type != TableType::f32) return;
    folder.write("table", in_.initial_table(), {in_.n_rows, in_.dim});
    folder.write("bags", in_.csr());
    folder.write("out", out_.to_host(), {in_.n_bags, in_.dim});
  }
  Units units() const override { return {static_cast<double>(in_.n_bags * in_.bag), "lookups"}; }
  int64_t gathered_row_bytes() const override { return in_.dim * embedding::bytes_of(in_.type); }

 private:
  Context& context_;
  Inputs in_;
  Buffer<float> out_;
  embedding::TableBagArgs args_;
};

class TableSort final : public Case {
 public:
  TableSort(Context& context, const Shape& shape)
      : context_(context),
        in_(context, shape),
        rows_(poisoned<uint32_t>(context, in_.n_bags * in_.bag)),
        entries_(poisoned<uint32_t>(context, in_.n_bags * in_.bag)),
        bags_(poisoned<int32_t>(context, in_.n_bags * in_.bag)),
        args_{in_.tables(), in_.bags(), in_.fault.data(), {rows_.view(), entries_.view(), bags_.view()}} {}
  void run() override { embedding::table_sort(context_, args_); }
  std::string fault() override {
    std::vector<std::pair<uint32_t, uint32_t>> expected;
    for (int64_t e = 0; e < in_.n_bags * in_.bag; ++e) {
      expected.emplace_back(static_cast<uint32_t>(in_.storage_row(e)), static_cast<uint32_t>(e));
    }
    std::sort(expected.begin(), expected.end());
    const std::vector<uint32_t> rows = rows_.to_host(), entries = entries_.to_host();
    for (size_t i = 0; i < expected.size(); ++i) {
      if (std::pair{rows[i], entries[i]} != expected[i]) return "place " + std::to_string(i) + " is out of order";
    }
    return {};
  }
  OpCost cost() const override { return embedding::table_sort_cost(args_); }
  Units units() const override { return {static_cast<double>(in_.n_bags * in_.bag), "entries"}; }

 private:
  Context& context_;
  Inputs in_;
  Buffer<uint32_t> rows_, entries_;
  Buffer<int32_t> bags_;
  embedding::TableSortArgs args_;
};

// optimizer: 0 SGD, 1 row-wise Adagrad, 2 Adam, 3 RMSProp; the first step from zero state.
class TableUpdate final : public Case {
 public:
  TableUpdate(Context& context, const Shape& shape)
      : context_(context),
        in_(context, shape),
        host_grad_(test::random_floats(in_.n_bags * in_.dim, 32)),
        grad_(context, host_grad_),
        state1_(Buffer<float>::zeros(context, state1_size(in_, kOptimizers[shape["optimizer"]]))),
        state2_(Buffer<float>::zeros(context,
                                     kOptimizers[shape["optimizer"]] == Optimizer::adam ? in_.n_rows * in_.dim : 0)) {
    args_.grad = grad_.matrix(in_.n_bags, in_.dim);
    args_.tables = in_.tables();
    args_.bags = in_.bags();
    args_.fault = in_.fault.data();
    args_.optimizer = kOptimizers[shape["optimizer"]];
    args_.state1 = state1_.data();
    args_.state2 = state2_.data();
  }
  void run() override { embedding::table_update(context_, args_); }
  std::string fault() override {
    std::vector<std::pair<int64_t, int64_t>> touched;  // row, entry
    for (int64_t e = 0; e < in_.n_bags * in_.bag; ++e) {
      touched.emplace_back(static_cast<int64_t>(in_.storage_row(e)), e);
    }
    std::sort(touched.begin(), touched.end());
    auto next = touched.begin();
    std::string fault;
    embedding::with_element(in_.type, [&]<class T>(T) {
      const int64_t rows = std::max<int64_t>(1, kPiece / in_.dim);
      std::vector<T> piece(static_cast<size_t>(std::min(rows, in_.n_rows) * in_.dim));
      for (int64_t from = 0; from < in_.n_rows && fault.empty(); from += rows) {
        const int64_t size = std::min(rows, in_.n_rows - from) * in_.dim;
        context_.copy_to_host(piece.data(), in_.storage.data() + from * in_.dim * int64_t{sizeof(T)},
                              static_cast<size_t>(size) * sizeof(T));
        for (int64_t row = from; row < from + size / in_.dim && fault.empty(); ++row) {
          const T* got = piece.data() + (row - from) * in_.dim;
          ref::Sums grad(in_.dim);
          const bool changed = next != touched.end() && next->first == row;
          for (; next != touched.end() && next->first == row; ++next) {
            const float* of_bag = host_grad_.data() + next->second / in_.bag * in_.dim;
            for (int64_t c = 0; c < in_.dim; ++c) grad.add(c, static_cast<double>(of_bag[c]));
          }
          if (changed) {
            fault = row_fault(row, got, grad);
          } else {
            for (int64_t c = 0; c < in_.dim && fault.empty(); ++c) {
              const auto before = static_cast<double>(to_float(element<T>(row * in_.dim + c)));
              const auto now = static_cast<double>(to_float(got[c]));
              if (now != before) fault = difference("untouched", row * in_.dim + c, now, before, 0.0);
            }
          }
        }
      }
    });
    return fault;
  }
  OpCost cost() const override { return embedding::table_update_cost(args_, in_.unique_rows()); }
  void export_arrays(const ArrayFolder& folder) const override {
    if (in_.type != TableType::f32) return;
    const OptimizerParams& adam = args_.params;
    folder.write("table", in_.initial_table(), {in_.n_rows, in_.dim});
    folder.write("bags", in_.csr());
    folder.write("grad", host_grad_, {in_.n_bags, in_.dim});
    folder.write("adam", std::vector<float>{adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon}, {4});
    folder.write("table_after", table_now(), {in_.n_rows, in_.dim});
  }
  Units units() const override { return {static_cast<double>(in_.n_bags * in_.bag), "lookups"}; }
  int64_t gathered_row_bytes() const override { return in_.dim * embedding::bytes_of(in_.type); }

 private:
  static constexpr Optimizer kOptimizers[] = {Optimizer::sgd, Optimizer::rowwise_adagrad, Optimizer::adam,
                                              Optimizer::rmsprop};
  static int64_t state1_size(const Inputs& in, Optimizer optimizer) {
    if (optimizer == Optimizer::sgd) return 0;
    return in.n_rows * (optimizer == Optimizer::rowwise_adagrad ? 1 : in.dim);
  }
  // What RMSProp's first step subtracts; it grows with the gradient.
  double rmsprop_step(double grad) const {
    const double variance = static_cast<double>(1.0f - args_.params.beta2) * grad * grad;
    return static_cast<double>(args_.params.learning_rate) * grad /
           (std::sqrt(variance) + static_cast<double>(args_.params.epsilon));
  }

  // One row of the table after the step, of which `grad` is the gradient.
  template <class T>
  std::string row_fault(int64_t row, const T* got, const ref::Sums& grad) const {
    const double lr = static_cast<double>(args_.params.learning_rate);
    for (int64_t c = 0; c < in_.dim; ++c) {
      const auto i = static_cast<size_t>(c);
      const auto p = static_cast<double>(to_float(element<T>(row * in_.dim + c)));
      double expected = 0.0, bound = 0.0;
      if (args_.optimizer == Optimizer::adam) {
        expected = ref::adam(grad.value[i], args_.params, {p, 0.0, 0.0}).parameter;
        bound = ref::adam_bound(grad.value[i], grad.bound(i), args_.params, {p, 0.0, 0.0}).parameter;
      } else if (args_.optimizer == Optimizer::rmsprop) {
        const double g = grad.value[i], error = grad.bound(i), step = rmsprop_step(g);
        expected = p - step;
        // Of the gradient's error, then ten roundings of the step and one of the difference.
        bound = std::max(rmsprop_step(g + error) - step, step - rmsprop_step(g - error)) +
                10 * 0x1.0p-24 * std::abs(step) + 0x1.0p-23 * (std::abs(p) + std::abs(step));
      } else {
        double scale = lr, rounding = 4;
        if (args_.optimizer == Optimizer::rowwise_adagrad) {
          double squares = 0.0;
          for (const double g : grad.value) squares += g * g;
          scale = lr / (std::sqrt(squares / static_cast<double>(in_.dim)) + static_cast<double>(args_.params.epsilon));
          // Relative error of the mean square: a sum of dim, of gradients that err as their longest sum may.
          rounding += static_cast<double>(in_.dim + 2 * grad.n_terms[i] + 4);
        }
        expected = p - scale * grad.value[i];
        bound = scale * (grad.bound(i) + rounding * 0x1.0p-24 * (std::abs(grad.value[i]) + grad.magnitude[i])) +
                0x1.0p-22 * std::abs(p);
      }
      if (in_.type == TableType::bf16) bound += 0x1.0p-7 * (std::abs(expected) + bound);
      std::string fault =
          difference("table", row * in_.dim + c, static_cast<double>(to_float(got[c])), expected, bound);
      if (!fault.empty()) return fault;
    }
    return {};
  }
  std::vector<float> table_now() const {
    const std::vector<uint8_t> bytes = in_.storage.to_host();
    std::vector<float> values(static_cast<size_t>(in_.n_rows * in_.dim));
    embedding::with_element(in_.type, [&]<class T>(T) {
      const T* element = reinterpret_cast<const T*>(bytes.data());
      for (size_t i = 0; i < values.size(); ++i) values[i] = to_float(element[i]);
    });
    return values;
  }

  Context& context_;
  Inputs in_;
  std::vector<float> host_grad_;
  Buffer<float> grad_, state1_, state2_;
  embedding::TableUpdateArgs args_;
};

struct Tables {
  int64_t tables, n_rows, dim, bits, bags, bag, zipf;
};

Shape shape(const Tables& t) {
  return {{"tables", t.tables}, {"n_rows", t.n_rows}, {"dim", t.dim},  {"bits", t.bits},
          {"bags", t.bags},     {"bag", t.bag},       {"zipf", t.zipf}};
}

Shape shape(const Tables& t, int64_t optimizer) {
  return {{"tables", t.tables}, {"n_rows", t.n_rows}, {"dim", t.dim},   {"bits", t.bits},
          {"bags", t.bags},     {"bag", t.bag},       {"zipf", t.zipf}, {"optimizer", optimizer}};
}

}  // namespace

void add_tables(Suite& suite) {
  constexpr int64_t kMillion = 1000000;
  const Tables small{4, 20000, 64, 32, 512, 5, 105};
  const Tables recommender{1, kMillion, 64, 32, 4096, 20, 105}, uniform{1, kMillion, 64, 32, 4096, 20, 0};
  const Tables narrow{1, kMillion, 64, 16, 4096, 20, 105};
  // The shape that FBGEMM published: a power law of 1.05 and 1,048,570 lookups, each its own bag. 8.6 GB of rows; 25.8
  // GB with Adam's state.
  const Tables published{10, 1680000, 128, 32, 104857, 1, 105};
  const Tables single{1, 100000, 64, 32, 8192, 1, 105}, triple{1, 100000, 64, 32, 8192, 3, 105};
  suite.add<TableBag>("embedding", "table_bag", {shape(small), shape(single), shape(triple)},
                      {shape(recommender), shape(uniform), shape(narrow), shape({1, kMillion, 64, 16, 4096, 20, 0}),
                       shape({1, kMillion, 64, 8, 4096, 20, 105}), shape({1, kMillion, 64, 32, 1 << 16, 1, 0}),
                       shape({10, 100000, 128, 32, 1024, 10, 105}), shape({1, kMillion, 17, 32, 4096, 20, 105}),
                       shape({1, 100000, 512, 32, 1024, 20, 0})},
                      {shape(published)});
  suite.add<TableSort>("embedding", "table_sort", {shape(small)}, {shape(recommender), shape(uniform)},
                       {shape(published)});
  suite.add<TableUpdate>(
      "embedding", "table_update", {shape(small, 0), shape(small, 1), shape(small, 2), shape(small, 3)},
      {shape(recommender, 1), shape(recommender, 2), shape(uniform, 1), shape(uniform, 2), shape(narrow, 1),
       shape(recommender, 0), shape(recommender, 3), shape({10, 100000, 128, 32, 1024, 10, 105}, 2)},
      {shape(published, 0), shape(published, 2)});
}

}  // namespace sheaf::bench
