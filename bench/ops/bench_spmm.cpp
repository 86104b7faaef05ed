#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/sparse/spmm.hpp"
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

}  // namespace

void add_sparse(Suite& suite) {
  suite.add<Spmm>("sparse", "spmm", {{{"n_rows", 20000}, {"n_columns", 4000}, {"max_row", 60}, {"dim", 64}}},
                  {{{"n_rows", 20000}, {"n_columns", 4000}, {"max_row", 60}, {"dim", 64}},
                   {{"n_rows", 1000000}, {"n_columns", 100000}, {"max_row", 60}, {"dim", 128}}});
}

}  // namespace sheaf::bench
