#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/dense/gram.hpp"
#include "kernels/sparse/als_solve.hpp"
#include "kernels/sparse/spgemm.hpp"
#include "kernels/sparse/spmm.hpp"
#include "tests/reference/sparse.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

/// A step from users to items with the mean over the layers, as LightGCN takes it.
class Spmm final : public Case {
 public:
  Spmm(Context& context, const Shape& s)
      : context_(context),
        dim_(s["dim"]),
        host_graph_(popular_csr(s["n_rows"], s["n_columns"], s["max_row"], 97, false)),
        host_scale_(test::random_floats(s["n_columns"], 98, 0.1f, 1.0f)),
        host_in_(test::random_floats(s["n_columns"] * dim_, 99)),
        graph_(context, host_graph_),
        scale_(context, host_scale_),
        in_(context, host_in_),
        out_(poisoned<float>(context, s["n_rows"] * dim_)),
        mean_(Buffer<float>::zeros(context, s["n_rows"] * dim_)),
        args_{.graph = graph_.view(),
              .column_scale = scale_.view(),
              .in = in_.matrix(s["n_columns"], dim_),
              .out = out_.matrix(s["n_rows"], dim_),
              .mean = mean_.matrix(s["n_rows"], dim_),
              .n_in_mean = 1} {}

  void run() override { sparse::spmm(context_, args_); }

  std::string fault() override {
    const std::vector<float> out = out_.to_host();
    for (const int64_t r : spread(host_graph_.n_rows(), 50)) {
      const auto begin = static_cast<size_t>(host_graph_.row_offsets[static_cast<size_t>(r)]),
                 end = static_cast<size_t>(host_graph_.row_offsets[static_cast<size_t>(r) + 1]);
      for (int64_t x = 0; x < dim_; ++x) {
        double sum = 0, magnitude = 0;
        for (size_t e = begin; e < end; ++e) {
          const auto column = static_cast<size_t>(host_graph_.columns[e]);
          const double term = static_cast<double>(host_scale_[column]) *
                              host_in_[column * static_cast<size_t>(dim_) + static_cast<size_t>(x)];
          sum += term;
          magnitude += std::abs(term);
        }
        const double bound = ref::sum_bound(static_cast<int64_t>(end - begin) + 2, magnitude);
        if (!(std::abs(static_cast<double>(out[static_cast<size_t>(r * dim_ + x)]) - sum) <= bound))
          return "row " + std::to_string(r) + ", column " + std::to_string(x) + " differs";
      }
    }
    return {};
  }

  OpCost cost() const override { return sparse::spmm_cost(args_); }

 private:
  Context& context_;
  int64_t dim_;
  test::HostCsr host_graph_;
  std::vector<float> host_scale_, host_in_;
  test::DeviceCsr graph_;
  Buffer<float> scale_, in_, out_, mean_;
  sparse::SpmmArgs args_;
};

/// The scores of users from their histories and the similar items of each item, as item-kNN gives them.
class Spgemm final : public Case {
 public:
  Spgemm(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        n_columns_(s["n_columns"]),
        host_left_(popular_csr(4 * n_, s["n_inner"], s["max_left"], 100, true)),
        host_right_(test::random_csr(s["n_inner"], n_columns_, s["max_right"], 101, true)),
        host_ids_(test::random_ints(n_, 102, 0, static_cast<int32_t>(4 * n_) - 1)),
        host_bias_(test::random_floats(n_columns_, 103)),
        left_(context, host_left_),
        right_(context, host_right_),
        ids_(context, host_ids_),
        bias_(context, host_bias_),
        out_(poisoned<float>(context, n_ * n_columns_)),
        args_{.left = left_.view(),
              .right = right_.view(),
              .ids = ids_.view(),
              .column_bias = bias_.view(),
              .out = out_.matrix(n_, n_columns_)} {}

  void run() override { sparse::spgemm(context_, args_); }

  std::string fault() override {
    const std::vector<float> out = out_.to_host();
    for (const int64_t r : spread(n_, 20)) {
      const ref::Sums expected = ref::spgemm(host_left_, &host_right_, {host_ids_[static_cast<size_t>(r)]}, host_bias_);
      const auto first = out.begin() + r * n_columns_;
      const std::string fault =
          difference("row " + std::to_string(r), std::vector<float>(first, first + n_columns_), expected);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return sparse::spgemm_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("left", host_left_);
    folder.write("right", host_right_);
    folder.write("ids", host_ids_, {n_});
    folder.write("column_bias", host_bias_, {n_columns_});
    folder.write("out", out_.to_host(), {n_, n_columns_});
  }

 private:
  Context& context_;
  int64_t n_, n_columns_;
  test::HostCsr host_left_, host_right_;
  std::vector<int32_t> host_ids_;
  std::vector<float> host_bias_;
  test::DeviceCsr left_, right_;
  Buffer<int32_t> ids_;
  Buffer<float> bias_, out_;
  sparse::SpgemmArgs args_;
};

/// Half a sweep of alternating least squares.
class AlsSolve final : public Case {
 public:
  AlsSolve(Context& context, const Shape& s)
      : context_(context),
        dim_(s["dim"]),
        n_columns_(s["n_columns"]),
        host_rows_(popular_csr(s["n_rows"], n_columns_, s["max_row"], 104, true)),
        host_items_(test::random_floats(n_columns_ * dim_, 105)),
        rows_(context, host_rows_),
        items_(context, host_items_),
        out_(poisoned<float>(context, s["n_rows"] * dim_)),
        gram_(context, dim_ * dim_),
        failed_(poisoned<int32_t>(context, 1)),
        args_{.rows = rows_.view(),
              .items = items_.matrix(n_columns_, dim_),
              .gram = gram_.matrix(dim_, dim_),
              .l2 = 1.0,
              .alpha = 10.0f,
              .out = out_.matrix(s["n_rows"], dim_),
              .failed = failed_.view()} {
    dense::gram(context, {.x = items_.matrix(n_columns_, dim_), .out = gram_.matrix(dim_, dim_)});
  }

  void run() override { sparse::als_solve(context_, args_); }

  std::string fault() override {
    test::HostCsr some;
    some.n_columns = n_columns_;
    const std::vector<int64_t> chosen = spread(host_rows_.n_rows(), 20);
    const std::vector<float> out = out_.to_host();
    std::vector<float> got;
    for (const int64_t r : chosen) {
      const auto begin = static_cast<std::ptrdiff_t>(host_rows_.row_offsets[static_cast<size_t>(r)]),
                 end = static_cast<std::ptrdiff_t>(host_rows_.row_offsets[static_cast<size_t>(r) + 1]);
      some.columns.insert(some.columns.end(), host_rows_.columns.begin() + begin, host_rows_.columns.begin() + end);
      some.values.insert(some.values.end(), host_rows_.values.begin() + begin, host_rows_.values.begin() + end);
      some.row_offsets.push_back(std::ssize(some.columns));
      got.insert(got.end(), out.begin() + r * dim_, out.begin() + (r + 1) * dim_);
    }
    const ref::BoundedRows expected = ref::als_solve(some, {}, host_items_, dim_, 1.0, 10.0);
    for (size_t at = 0; at < got.size(); ++at) {
      const std::string fault = difference("x", static_cast<int64_t>(at), static_cast<double>(got[at]),
                                           expected.value[at], expected.bound[at]);
      if (!fault.empty()) return fault;
    }
    return failed_.to_host()[0] == 0 ? "" : "a pivot failed";
  }

  OpCost cost() const override { return sparse::als_solve_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("rows", host_rows_);
    folder.write("items", host_items_, {n_columns_, dim_});
    folder.write("out", out_.to_host(), {host_rows_.n_rows(), dim_});
  }

 private:
  Context& context_;
  int64_t dim_, n_columns_;
  test::HostCsr host_rows_;
  std::vector<float> host_items_;
  test::DeviceCsr rows_;
  Buffer<float> items_, out_;
  Buffer<double> gram_;
  Buffer<int32_t> failed_;
  sparse::AlsSolveArgs args_;
};

}  // namespace

void add_sparse(Suite& suite) {
  suite.add<Spmm>("sparse", "spmm", {{{"n_rows", 20000}, {"n_columns", 4000}, {"max_row", 60}, {"dim", 64}}},
                  {{{"n_rows", 20000}, {"n_columns", 4000}, {"max_row", 60}, {"dim", 64}},
                   {{"n_rows", 1000000}, {"n_columns", 100000}, {"max_row", 60}, {"dim", 128}}});
  suite.add<Spgemm>("sparse", "spgemm",
                    {{{"n", 2000}, {"n_inner", 4000}, {"n_columns", 4000}, {"max_left", 40}, {"max_right", 100}}},
                    {{{"n", 16384}, {"n_inner", 20000}, {"n_columns", 20000}, {"max_left", 40}, {"max_right", 100}}});
  suite.add<AlsSolve>("sparse", "als_solve",
                      {{{"n_rows", 4000}, {"n_columns", 4000}, {"max_row", 60}, {"dim", 64}},
                       {{"n_rows", 400}, {"n_columns", 4000}, {"max_row", 300}, {"dim", 64}}},
                      {{{"n_rows", 100000}, {"n_columns", 100000}, {"max_row", 60}, {"dim", 64}},
                       {{"n_rows", 100000}, {"n_columns", 100000}, {"max_row", 60}, {"dim", 128}},
                       {{"n_rows", 10000}, {"n_columns", 100000}, {"max_row", 1000}, {"dim", 128}}});
}

}  // namespace sheaf::bench
