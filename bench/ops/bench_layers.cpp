#include <algorithm>
#include <utility>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/dense/activation.hpp"
#include "kernels/dense/convolution.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/dense/residual_norm.hpp"
#include "tests/reference/layers.hpp"

namespace sheaf::bench {
namespace {

constexpr RandomKey kKey{.seed = 3, .purpose = Purpose::dropout, .step = 1};
constexpr int64_t kChecked = 40;  // rows that the oracle looks at

MatrixView<float> out(const Buffer<float>& buffer, int64_t rows, int64_t cols) { return {buffer.data(), rows, cols}; }

std::vector<double> first_rows(const std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.begin(), values.begin() + rows * cols};
}

std::vector<float> first_floats(const Buffer<float>& buffer, int64_t n) {
  std::vector<float> values = buffer.to_host();
  values.resize(static_cast<size_t>(n));
  return values;
}

std::string difference_of(const char* what, const Buffer<float>& got, const ref::Bounded& expected) {
  const std::vector<float> values = first_floats(got, static_cast<int64_t>(expected.value.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string fault =
        difference(what, static_cast<int64_t>(i), values[i], expected.value[i], expected.bound[i]);
    if (!fault.empty()) return fault;
  }
  return {};
}

class LinearCase : public Case {
 public:
  LinearCase(Context& context, const Shape& s)
      : context_(context),
        n_(s["rows"]),
        n_in_(s["n_in"]),
        n_out_(s["n_out"]),
        host_x_(test::random_floats(n_ * n_in_, 110)),
        host_weight_(test::random_floats(n_out_ * n_in_, 111)),
        host_bias_(test::random_floats(n_out_, 112)),
        host_d_(test::random_floats(n_ * n_out_, 113)),
        x_(context, host_x_),
        weight_(context, host_weight_),
        bias_(context, host_bias_),
        d_out_(context, host_d_),
        out_(poisoned<float>(context, n_ * n_out_)),
        d_x_(poisoned<float>(context, n_ * n_in_)),
        d_weight_(poisoned<float>(context, n_out_ * n_in_)),
        d_bias_(poisoned<float>(context, n_out_)) {}

 protected:
  int64_t checked() const { return std::min(n_, kChecked); }

  Context& context_;
  int64_t n_, n_in_, n_out_;
  std::vector<float> host_x_, host_weight_, host_bias_, host_d_;
  Buffer<float> x_, weight_, bias_, d_out_;
  Buffer<float> out_, d_x_, d_weight_, d_bias_;
};

class Linear final : public LinearCase {
 public:
  using LinearCase::LinearCase;
  void run() override { dense::linear(context_, args()); }
  std::string fault() override {
    ref::Sums expected =
        ref::linear(n_in_, first_rows(host_x_, checked(), n_in_), to_double(host_weight_), to_double(host_bias_));
    for (double& value : expected.value) value = std::max(0.0, value);
    return difference("out", first_floats(out_, checked() * n_out_), expected);
  }
  OpCost cost() const override { return dense::linear_cost(args()); }

 private:
  dense::LinearArgs args() const {
    return {std::as_const(x_).matrix(n_, n_in_), std::as_const(weight_).matrix(n_out_, n_in_), bias_.view(), true,
            out(out_, n_, n_out_)};
  }
};

class LinearBackward final : public LinearCase {
 public:
  using LinearCase::LinearCase;
  void run() override { dense::linear_backward(context_, args()); }
  std::string fault() override {
    // Gradients of rows need those rows alone; those of the weights all of them.
    const ref::LinearGradients rows = ref::linear_backward(
        n_in_, first_rows(host_x_, checked(), n_in_), to_double(host_weight_), first_rows(host_d_, checked(), n_out_));
    ref::Sums bias(n_out_);
    for (int64_t r = 0; r < n_; ++r) {
      for (int64_t o = 0; o < n_out_; ++o) bias.add(o, host_d_[static_cast<size_t>(r * n_out_ + o)]);
    }
    ref::Sums first(n_in_);  // of d_weight
    for (int64_t r = 0; r < n_; ++r) {
      for (int64_t i = 0; i < n_in_; ++i) {
        first.add(i, static_cast<double>(host_d_[static_cast<size_t>(r * n_out_)]) *
                         static_cast<double>(host_x_[static_cast<size_t>(r * n_in_ + i)]));
      }
    }
    return first_of({difference("d_x", first_floats(d_x_, checked() * n_in_), rows.x),
                     difference("d_weight", first_floats(d_weight_, n_in_), first),
                     difference("d_bias", d_bias_.to_host(), bias)});
  }
  OpCost cost() const override { return dense::linear_backward_cost(args()); }

 private:
  dense::LinearBackwardArgs args() const {
    return {std::as_const(x_).matrix(n_, n_in_),
            std::as_const(weight_).matrix(n_out_, n_in_),
            false,
            {},
            out(d_out_, n_, n_out_),
            out(d_x_, n_, n_in_),
            out(d_weight_, n_out_, n_in_),
            {d_bias_.data(), n_out_}};
  }
};

class ResidualNormCase : public Case {
 public:
  ResidualNormCase(Context& context, const Shape& s)
      : context_(context),
        n_(s["rows"]),
        dim_(s["dim"]),
        host_x_(test::random_floats(n_ * dim_, 120)),
        host_residual_(test::random_floats(n_ * dim_, 121)),
        host_weight_(test::random_floats(dim_, 122)),
        host_bias_(test::random_floats(dim_, 123)),
        host_d_(test::random_floats(n_ * dim_, 124)),
        x_(context, host_x_),
        residual_(context, host_residual_),
        weight_(context, host_weight_),
        bias_(context, host_bias_),
        d_normed_(context, host_d_),
        sum_(poisoned<float>(context, n_ * dim_)),
        normed_(poisoned<float>(context, n_ * dim_)),
        moments_(poisoned<float>(context, n_ * 2)),
        d_sum_(poisoned<float>(context, n_ * dim_)),
        d_x_(poisoned<float>(context, n_ * dim_)),
        d_weight_(poisoned<float>(context, dim_)),
        d_bias_(poisoned<float>(context, dim_)) {}

 protected:
  static constexpr float kRate = 0.2f;
  int64_t checked() const { return std::min(n_, kChecked); }
  ref::ResidualNorm exact() const {
    return ref::residual_norm(dim_, first_rows(host_x_, checked(), dim_), first_rows(host_residual_, checked(), dim_),
                              to_double(host_weight_), to_double(host_bias_), {kRate, kKey, 0});
  }
  dense::ResidualNormArgs args() const {
    return {.x = std::as_const(x_).matrix(n_, dim_),
            .residual = std::as_const(residual_).matrix(n_, dim_),
            .weight = weight_.view(),
            .bias = bias_.view(),
            .rate = kRate,
            .key = kKey,
            .sum = out(sum_, n_, dim_),
            .normed = out(normed_, n_, dim_),
            .moments = out(moments_, n_, 2)};
  }
  Context& context_;
  int64_t n_, dim_;
  std::vector<float> host_x_, host_residual_, host_weight_, host_bias_, host_d_;
  Buffer<float> x_, residual_, weight_, bias_, d_normed_;
  Buffer<float> sum_, normed_, moments_, d_sum_, d_x_, d_weight_, d_bias_;
};

class ResidualNorm final : public ResidualNormCase {
 public:
  using ResidualNormCase::ResidualNormCase;
  void run() override { dense::residual_norm(context_, args()); }
  std::string fault() override { return difference_of("normed", normed_, exact().normed); }
  OpCost cost() const override { return dense::residual_norm_cost(args()); }
};

class ResidualNormBackward final : public ResidualNormCase {
 public:
  ResidualNormBackward(Context& context, const Shape& s) : ResidualNormCase(context, s) {
    dense::residual_norm(context, args());
  }
  void run() override { dense::residual_norm_backward(context_, backward()); }
  std::string fault() override {
    const ref::ResidualNormGradients expected =
        ref::residual_norm_backward(dim_, exact(), to_double(host_weight_), first_rows(host_d_, checked(), dim_),
                                    first_rows(host_residual_, checked(), dim_), {kRate, kKey, 0});
    return first_of({difference_of("d_sum", d_sum_, expected.sum), difference_of("d_x", d_x_, expected.x)});
  }
  OpCost cost() const override { return dense::residual_norm_backward_cost(backward()); }

 private:
  dense::ResidualNormBackwardArgs backward() const {
    return {.sum = std::as_const(sum_).matrix(n_, dim_),
            .moments = std::as_const(moments_).matrix(n_, 2),
            .weight = weight_.view(),
            .d_normed = std::as_const(d_normed_).matrix(n_, dim_),
            .d_residual = std::as_const(residual_).matrix(n_, dim_),
            .rate = kRate,
            .key = kKey,
            .d_sum = out(d_sum_, n_, dim_),
            .d_x = out(d_x_, n_, dim_),
            .d_weight = {d_weight_.data(), dim_},
            .d_bias = {d_bias_.data(), dim_}};
  }
};

// Pooled by max.
class ConvolutionCase : public Case {
 public:
  ConvolutionCase(Context& context, const Shape& s)
      : context_(context),
        shape_{s["rows"], s["length"], s["channels"], s["width"], s["filters"]},
        host_x_(test::random_floats(shape_.n * row(), 140)),
        host_filters_(test::random_floats(shape_.n_filters * span(), 141)),
        host_bias_(test::random_floats(shape_.n_filters, 142)),
        host_d_(test::random_floats(shape_.n * shape_.n_filters, 143)),
        x_(context, host_x_),
        filters_(context, host_filters_),
        bias_(context, host_bias_),
        d_out_(context, host_d_),
        hidden_(poisoned<float>(context, shape_.n * shape_.positions() * shape_.n_filters)),
        out_(poisoned<float>(context, d_out_.size())),
        d_x_(poisoned<float>(context, x_.size())),
        d_filters_(poisoned<float>(context, filters_.size())),
        d_bias_(poisoned<float>(context, shape_.n_filters)),
        winner_(poisoned<int32_t>(context, d_out_.size())) {}

 protected:
  int64_t row() const { return shape_.length * shape_.channels; }
  int64_t span() const { return shape_.width * shape_.channels; }
  int64_t checked() const { return std::min(shape_.n, kChecked); }
  /// The first rows alone.
  ref::ConvolutionShape checked_shape() const {
    ref::ConvolutionShape shape = shape_;
    shape.n = checked();
    return shape;
  }
  std::vector<double> checked_x() const { return first_rows(host_x_, checked(), row()); }
  dense::ConvolutionArgs args() const {
    return {.x = std::as_const(x_).matrix(shape_.n, row()),
            .channels = shape_.channels,
            .filters = std::as_const(filters_).matrix(shape_.n_filters, span()),
            .bias = bias_.view(),
            .pooling = dense::ConvolutionPooling::max,
            .hidden = out(hidden_, shape_.n, shape_.positions() * shape_.n_filters),
            .out = out(out_, shape_.n, shape_.n_filters),
            .winner = {winner_.data(), shape_.n, shape_.n_filters}};
  }

  Context& context_;
  ref::ConvolutionShape shape_;
  std::vector<float> host_x_, host_filters_, host_bias_, host_d_;
  Buffer<float> x_, filters_, bias_, d_out_;
  Buffer<float> hidden_, out_, d_x_, d_filters_, d_bias_;
  Buffer<int32_t> winner_;
};

class Convolution final : public ConvolutionCase {
 public:
  using ConvolutionCase::ConvolutionCase;
  void run() override { dense::convolution(context_, args()); }
  std::string fault() override {
    ref::Sums expected =
        ref::convolution(checked_shape(), checked_x(), to_double(host_filters_), to_double(host_bias_));
    for (double& value : expected.value) value = std::max(0.0, value);
    const int64_t n_hidden = checked() * shape_.positions() * shape_.n_filters;
    const std::vector<float> hidden = first_floats(hidden_, n_hidden);
    const ref::Pooled pooled =
        ref::pooled(checked_shape(), dense::ConvolutionPooling::max, {hidden.begin(), hidden.end()});
    ref::Sums largest(checked() * shape_.n_filters);  // of what was found: no rounding
    largest.value = pooled.value;
    return first_of({difference("hidden", hidden, expected),
                     difference("out", first_floats(out_, checked() * shape_.n_filters), largest)});
  }
  OpCost cost() const override { return dense::convolution_cost(args()); }
};

/// hidden is h in the first run and D afterwards. D of D has the same zeros, so each run does the same work.
class ConvolutionBackward final : public ConvolutionCase {
 public:
  ConvolutionBackward(Context& context, const Shape& s) : ConvolutionCase(context, s) {
    dense::convolution(context, args());
    host_hidden_ = hidden_.to_host();
  }
  void run() override { dense::convolution_backward(context_, backward()); }
  std::string fault() override {
    const std::vector<double> d =
        ref::pooled_backward(shape_, dense::ConvolutionPooling::max, to_double(host_hidden_), to_double(host_d_));
    hidden_.assign(host_hidden_);
    run();
    // Gradients of rows need those rows alone; those of a filter its own D of all rows.
    const ref::Sums rows = ref::convolution_backward(checked_shape(), checked_x(), to_double(host_filters_), d).x;
    ref::ConvolutionShape one = shape_;
    one.n_filters = 1;
    std::vector<double> first;
    for (size_t at = 0; at < d.size(); at += static_cast<size_t>(shape_.n_filters)) first.push_back(d[at]);
    const ref::ConvolutionGradients of_first =
        ref::convolution_backward(one, to_double(host_x_), to_double(host_filters_), first);
    return first_of({difference("d_x", first_floats(d_x_, checked() * row()), rows),
                     difference("d_filters", first_floats(d_filters_, span()), of_first.filters),
                     difference("d_bias", first_floats(d_bias_, 1), of_first.bias)});
  }
  OpCost cost() const override { return dense::convolution_backward_cost(backward()); }

 private:
  dense::ConvolutionBackwardArgs backward() const {
    return {.x = std::as_const(x_).matrix(shape_.n, row()),
            .channels = shape_.channels,
            .filters = std::as_const(filters_).matrix(shape_.n_filters, span()),
            .pooling = dense::ConvolutionPooling::max,
            .hidden = out(hidden_, shape_.n, shape_.positions() * shape_.n_filters),
            .winner = std::as_const(winner_).matrix(shape_.n, shape_.n_filters),
            .d_out = std::as_const(d_out_).matrix(shape_.n, shape_.n_filters),
            .d_x = out(d_x_, shape_.n, row()),
            .d_filters = out(d_filters_, shape_.n_filters, span()),
            .d_bias = {d_bias_.data(), shape_.n_filters}};
  }

  std::vector<float> host_hidden_;
};

// kind counts as in dense::Activation: 0 relu, 1 sigmoid, 2 tanh, 3 gelu.
class ActivationCase : public Case {
 public:
  ActivationCase(Context& context, const Shape& s)
      : context_(context),
        kind_(static_cast<dense::Activation>(s["kind"])),
        n_(s["rows"]),
        cols_(s["cols"]),
        host_x_(test::random_floats(n_ * cols_, 130, -4.0f, 4.0f)),
        host_d_(test::random_floats(n_ * cols_, 131)),
        x_(context, host_x_),
        d_out_(context, host_d_),
        out_(poisoned<float>(context, n_ * cols_)),
        d_x_(poisoned<float>(context, n_ * cols_)) {}

 protected:
  dense::ActivationArgs args() const { return {kind_, std::as_const(x_).matrix(n_, cols_), out(out_, n_, cols_)}; }
  int64_t checked() const { return std::min(n_, kChecked); }

  Context& context_;
  dense::Activation kind_;
  int64_t n_, cols_;
  std::vector<float> host_x_, host_d_;
  Buffer<float> x_, d_out_, out_, d_x_;
};

class Activation final : public ActivationCase {
 public:
  using ActivationCase::ActivationCase;
  void run() override { dense::activation(context_, args()); }
  std::string fault() override {
    return difference_of("out", out_, ref::activation(kind_, first_rows(host_x_, checked(), cols_)));
  }
  OpCost cost() const override { return dense::activation_cost(args()); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("x", host_x_, {n_, cols_});
    folder.write("out", out_.to_host(), {n_, cols_});
  }
};

class ActivationBackward final : public ActivationCase {
 public:
  ActivationBackward(Context& context, const Shape& s) : ActivationCase(context, s) {
    dense::activation(context, args());
  }
  void run() override { dense::activation_backward(context_, backward()); }
  std::string fault() override {
    const std::vector<float> kept = kind_ == dense::Activation::gelu ? host_x_ : first_floats(out_, checked() * cols_);
    return difference_of(
        "d_x", d_x_,
        ref::activation_backward(kind_, first_rows(kept, checked(), cols_), first_rows(host_d_, checked(), cols_)));
  }
  OpCost cost() const override { return dense::activation_backward_cost(backward()); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("x", host_x_, {n_, cols_});
    folder.write("out", out_.to_host(), {n_, cols_});
    folder.write("d_out", host_d_, {n_, cols_});
    folder.write("d_x", d_x_.to_host(), {n_, cols_});
  }

 private:
  dense::ActivationBackwardArgs backward() const {
    return {.kind = kind_,
            .x = std::as_const(x_).matrix(n_, cols_),
            .out = std::as_const(out_).matrix(n_, cols_),
            .d_out = std::as_const(d_out_).matrix(n_, cols_),
            .d_x = out(d_x_, n_, cols_)};
  }
};

}  // namespace

void add_layers(Suite& suite) {
  const std::vector<Shape> linear{{{"rows", 8192}, {"n_in", 64}, {"n_out", 192}}};
  const std::vector<Shape> linears{{{"rows", 8192}, {"n_in", 64}, {"n_out", 192}},
                                   {{"rows", 1 << 18}, {"n_in", 128}, {"n_out", 512}}};
  suite.add<Linear>("dense", "linear", linear, linears);
  suite.add<LinearBackward>("dense", "linear_backward", linear, linears);
  const std::vector<Shape> norm{{{"rows", 8192}, {"dim", 64}}};
  const std::vector<Shape> norms{{{"rows", 8192}, {"dim", 64}}, {{"rows", 1 << 18}, {"dim", 128}}};
  suite.add<ResidualNorm>("dense", "residual_norm", norm, norms);
  suite.add<ResidualNormBackward>("dense", "residual_norm_backward", norm, norms);
  const std::vector<Shape> convolution{
      {{"rows", 4096}, {"length", 5}, {"channels", 16}, {"width", 3}, {"filters", 32}}};
  const std::vector<Shape> convolutions{
      convolution.front(), {{"rows", 1 << 15}, {"length", 8}, {"channels", 32}, {"width", 3}, {"filters", 64}}};
  suite.add<Convolution>("dense", "convolution", convolution, convolutions);
  suite.add<ConvolutionBackward>("dense", "convolution_backward", convolution, convolutions);
  std::vector<Shape> small, all;
  for (int64_t kind = 0; kind <= static_cast<int64_t>(dense::Activation::gelu); ++kind) {
    small.push_back({{"kind", kind}, {"rows", 8192}, {"cols", 512}});
    all.push_back(small.back());
    all.push_back({{"kind", kind}, {"rows", 1 << 18}, {"cols", 512}});
  }
  suite.add<Activation>("dense", "activation", small, all);
  suite.add<ActivationBackward>("dense", "activation_backward", small, all);
}

}  // namespace sheaf::bench
