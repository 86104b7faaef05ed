#include <algorithm>
#include <utility>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/recurrent/recurrent.hpp"
#include "tests/reference/recurrent.hpp"

namespace sheaf::bench {
namespace {

MatrixView<float> out(const Buffer<float>& buffer, int64_t rows, int64_t cols) { return {buffer.data(), rows, cols}; }

/// Sequences of 1 .. longest rows, evenly spread; `cell` is 0 for gru, 1 for lstm.
class RecurrentCase : public Case {
 public:
  RecurrentCase(Context& context, const Shape& s)
      : context_(context),
        cell_(s["cell"] == 0 ? recurrent::Cell::gru : recurrent::Cell::lstm),
        dim_(s["dim"]),
        gates_(recurrent::n_gates(cell_) * dim_),
        kept_cols_(recurrent::n_kept(cell_) * dim_) {
    for (int64_t i = 0; i < s["sequences"]; ++i) {
      host_offsets_.push_back(host_offsets_.back() + 1 + i * 37 % s["longest"]);
    }
    n_ = host_offsets_.back();
    offsets_ = Buffer<int64_t>(context, host_offsets_);
    host_x_ = test::random_floats(n_ * gates_, 130);
    // Rows of U whose sizes add up to less than 1, so that the bounds of the oracle do not grow with the steps.
    host_weight_ =
        test::random_floats(gates_ * dim_, 131, -1.0f / static_cast<float>(dim_), 1.0f / static_cast<float>(dim_));
    host_bias_ = test::random_floats(cell_ == recurrent::Cell::gru ? dim_ : 0, 132);
    host_d_ = test::random_floats(n_ * dim_, 133);
    x_ = Buffer<float>(context, host_x_);
    weight_ = Buffer<float>(context, host_weight_);
    bias_ = Buffer<float>(context, host_bias_);
    d_out_ = Buffer<float>(context, host_d_);
    kept_ = poisoned<float>(context, n_ * kept_cols_);
    out_ = poisoned<float>(context, n_ * dim_);
    d_x_ = poisoned<float>(context, n_ * gates_);
    d_weight_ = poisoned<float>(context, gates_ * dim_);
    d_bias_ = poisoned<float>(context, bias_.size());
  }

  Units units() const override { return {static_cast<double>(n_), "rows"}; }

 protected:
  recurrent::RecurrentArgs args() const {
    return {.shape = {cell_, offsets_.view()},
            .x = x_.matrix(n_, gates_),
            .weight = weight_.matrix(gates_, dim_),
            .bias = bias_.view(),
            .kept = out(kept_, n_, kept_cols_),
            .out = out(out_, n_, dim_)};
  }
  recurrent::RecurrentBackwardArgs backward_args() const {
    return {.shape = {cell_, offsets_.view()},
            .weight = weight_.matrix(gates_, dim_),
            .kept = out(kept_, n_, kept_cols_),
            .out = out(out_, n_, dim_),
            .d_out = d_out_.matrix(n_, dim_),
            .d_x = out(d_x_, n_, gates_),
            .d_weight = out(d_weight_, gates_, dim_),
            .d_bias = {d_bias_.data(), d_bias_.size()}};
  }
  ref::RecurrentProblem problem(const std::vector<int64_t>& offsets) const {
    return {cell_ == recurrent::Cell::lstm, dim_, offsets, to_double(host_weight_), to_double(host_bias_)};
  }
  /// The sequences whose rows the oracle computes, and how many rows they have.
  std::vector<int64_t> checked() const {
    return {host_offsets_.begin(), host_offsets_.begin() + std::min<int64_t>(4, std::ssize(host_offsets_))};
  }
  static std::vector<double> first_of_all(const std::vector<float>& values, int64_t n) {
    return {values.begin(), values.begin() + n};
  }
  static std::string difference_of(const char* what, const Buffer<float>& got, const ref::Bounded& expected) {
    const std::vector<float> values = got.to_host();
    for (size_t i = 0; i < expected.value.size(); ++i) {
      const std::string fault =
          difference(what, static_cast<int64_t>(i), values[i], expected.value[i], expected.bound[i]);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  Context& context_;
  recurrent::Cell cell_;
  int64_t dim_, gates_, kept_cols_, n_ = 0;
  std::vector<int64_t> host_offsets_{0};
  std::vector<float> host_x_, host_weight_, host_bias_, host_d_;
  Buffer<int64_t> offsets_;
  Buffer<float> x_, weight_, bias_, d_out_;
  Buffer<float> kept_, out_, d_x_, d_weight_, d_bias_;
};

class Recurrent final : public RecurrentCase {
 public:
  using RecurrentCase::RecurrentCase;
  void run() override { recurrent::recurrent(context_, args()); }
  std::string fault() override {
    const std::vector<int64_t> offsets = checked();
    const ref::RecurrentStates expected =
        ref::recurrent(problem(offsets), first_of_all(host_x_, offsets.back() * gates_));
    return first_of({difference_of("out", out_, expected.out), difference_of("kept", kept_, expected.kept)});
  }
  OpCost cost() const override { return recurrent::recurrent_cost(args()); }
};

class RecurrentBackward final : public RecurrentCase {
 public:
  RecurrentBackward(Context& context, const Shape& s) : RecurrentCase(context, s) {
    recurrent::recurrent(context, args());
  }
  void run() override { recurrent::recurrent_backward(context_, backward_args()); }
  std::string fault() override {
    // Gradients of rows need their sequences alone; those of U the sums over all of the given ones.
    const std::vector<int64_t> offsets = checked();
    const std::vector<float> out = out_.to_host(), d_x = d_x_.to_host();
    const ref::RecurrentGradients rows =
        ref::recurrent_backward(problem(offsets), first_of_all(kept_.to_host(), offsets.back() * kept_cols_),
                                first_of_all(out, offsets.back() * dim_), first_of_all(host_d_, offsets.back() * dim_));
    ref::Sums first(dim_);  // of d_weight: gate r or i, where D is d_x
    for (size_t s = 0; s + 1 < host_offsets_.size(); ++s) {
      for (int64_t r = host_offsets_[s] + 1; r < host_offsets_[s + 1]; ++r) {
        for (int64_t k = 0; k < dim_; ++k) {
          first.add(k, static_cast<double>(d_x[static_cast<size_t>(r * gates_)]) *
                           static_cast<double>(out[static_cast<size_t>((r - 1) * dim_ + k)]));
        }
      }
    }
    std::vector<float> d_weight = d_weight_.to_host();
    d_weight.resize(static_cast<size_t>(dim_));
    return first_of({difference_of("d_x", d_x_, rows.x), difference("d_weight", d_weight, first)});
  }
  OpCost cost() const override { return recurrent::recurrent_backward_cost(backward_args()); }
};

}  // namespace

void add_recurrent(Suite& suite) {
  std::vector<Shape> small, all;
  for (const int64_t cell : {0, 1}) {
    small.push_back({{"cell", cell}, {"sequences", 64}, {"longest", 256}, {"dim", 64}});
    all.push_back(small.back());
    all.push_back({{"cell", cell}, {"sequences", 1024}, {"longest", 256}, {"dim", 128}});
  }
  suite.add<Recurrent>("recurrent", "recurrent", small, all);
  suite.add<RecurrentBackward>("recurrent", "recurrent_backward", small, all);
}

}  // namespace sheaf::bench
