#include <limits>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/dense/mean_sigmoid.hpp"
#include "kernels/dense/row_topk.hpp"
#include "tests/reference/dense.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

/// A batch of users' scores for the whole catalog; every user has a row of excluded items.
class RowTopk final : public Case {
 public:
  RowTopk(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        n_items_(s["n_items"]),
        k_(s["k"]),
        host_scores_(test::random_floats(n_ * n_items_, 110)),
        host_exclude_(popular_csr(4 * n_, n_items_, 50, 111, false)),
        host_exclude_rows_(test::random_ints(n_, 112, 0, static_cast<int32_t>(4 * n_) - 1)),
        scores_(context, host_scores_),
        exclude_(context, host_exclude_),
        exclude_rows_(context, host_exclude_rows_),
        top_items_(poisoned<int32_t>(context, n_ * k_)),
        top_scores_(poisoned<float>(context, n_ * k_)),
        args_{.scores = scores_.matrix(n_, n_items_),
              .exclude = exclude_.view(),
              .exclude_rows = exclude_rows_.view(),
              .top_items = top_items_.matrix(n_, k_),
              .top_scores = top_scores_.matrix(n_, k_)} {}

  void run() override { dense::row_topk(context_, args_); }

  std::string fault() override {
    const std::vector<int32_t> ids = top_items_.to_host();
    const std::vector<float> scores = top_scores_.to_host();
    for (const int64_t r : spread(n_, 50)) {
      const std::string fault = ref::top_k_fault(candidates(r), ids.data() + r * k_, scores.data() + r * k_, k_,
                                                 -std::numeric_limits<float>::infinity());
      if (!fault.empty()) return "row " + std::to_string(r) + ": " + fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::row_topk_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("scores", host_scores_, {n_, n_items_});
    folder.write("exclude", host_exclude_);
    folder.write("exclude_rows", host_exclude_rows_, {n_});
    folder.write("top_items", top_items_.to_host(), {n_, k_});
    folder.write("top_scores", top_scores_.to_host(), {n_, k_});
  }

 private:
  // Scores are copied: no bound.
  std::vector<ref::Candidate> candidates(int64_t r) const {
    std::vector<ref::Candidate> all(static_cast<size_t>(n_items_));
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].score = static_cast<double>(host_scores_[static_cast<size_t>(r) * all.size() + i]);
    }
    const auto row = static_cast<size_t>(host_exclude_rows_[static_cast<size_t>(r)]);
    for (int64_t e = host_exclude_.row_offsets[row]; e < host_exclude_.row_offsets[row + 1]; ++e) {
      ref::Candidate& candidate = all[static_cast<size_t>(host_exclude_.columns[static_cast<size_t>(e)])];
      candidate.may = candidate.must = false;
    }
    return all;
  }

  Context& context_;
  int64_t n_, n_items_, k_;
  std::vector<float> host_scores_;
  test::HostCsr host_exclude_;
  std::vector<int32_t> host_exclude_rows_;
  Buffer<float> scores_;
  test::DeviceCsr exclude_;
  Buffer<int32_t> exclude_rows_, top_items_;
  Buffer<float> top_scores_;
  dense::RowTopkArgs args_;
};

/// Sums grow from call to call; adding to them takes the same time.
class MeanSigmoid final : public Case {
 public:
  MeanSigmoid(Context& context, const Shape& s)
      : context_(context),
        n_items_(s["n_items"]),
        host_scores_(test::random_floats(s["n"] * n_items_, 113, -4.0f, 4.0f)),
        scores_(context, host_scores_),
        sums_(Buffer<double>::zeros(context, n_items_)),
        args_{.scores = scores_.matrix(s["n"], n_items_),
              .slope = 0.75f,
              .offset = 0.25f,
              .weight = 1.0 / static_cast<double>(s["n"]),
              .sums = {sums_.data(), n_items_}} {}

  void run() override { dense::mean_sigmoid(context_, args_); }

  std::string fault() override {
    const std::vector<double> got = sums_.to_host();
    const std::vector<ref::Mean> expected = ref::mean_sigmoid(
        to_double(host_scores_), std::vector<double>(got.size(), 0.0), args_.weight, {args_.slope, args_.offset});
    for (size_t i = 0; i < got.size(); ++i) {
      const std::string fault =
          difference("sums", static_cast<int64_t>(i), got[i], expected[i].value, expected[i].bound);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::mean_sigmoid_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("scores", host_scores_, {args_.scores.rows, n_items_});
    folder.write("slope_and_offset", std::vector<float>{args_.slope, args_.offset}, {2});
  }

 private:
  Context& context_;
  int64_t n_items_;
  std::vector<float> host_scores_;
  Buffer<float> scores_;
  Buffer<double> sums_;
  dense::MeanSigmoidArgs args_;
};

}  // namespace

void add_score_rows(Suite& suite) {
  suite.add<RowTopk>("dense", "row_topk", {{{"n", 512}, {"n_items", 20000}, {"k", 20}}},
                     {{{"n", 4096}, {"n_items", 100000}, {"k", 20}}});
  suite.add<MeanSigmoid>("dense", "mean_sigmoid", {{{"n", 1024}, {"n_items", 4000}}},
                         {{{"n", 4096}, {"n_items", 100000}}});
}

}  // namespace sheaf::bench
