#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/optim/adam.hpp"
#include "kernels/optim/clip.hpp"
#include "kernels/optim/one_state.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf::bench {
namespace {

class Adam final : public Case {
 public:
  Adam(Context& context, const Shape& shape)
      : context_(context),
        host_grad_(test::random_floats(shape["n"], 30)),
        host_parameters_(test::random_floats(shape["n"], 31)),
        grad_(context, host_grad_),
        parameters_(context, host_parameters_),
        moment1_(Buffer<float>::zeros(context, shape["n"])),
        moment2_(Buffer<float>::zeros(context, shape["n"])),
        args_{.grad = grad_.view(),
              .adam = {.weight_decay = 0.01f},
              .parameters = parameters_.view(),
              .moment1 = moment1_.view(),
              .moment2 = moment2_.view()} {}

  void run() override { optim::adam(context_, args_); }

  std::string fault() override {
    const std::vector<float> parameters = parameters_.to_host();
    for (const int64_t i : spread(grad_.size(), 100000)) {
      const auto at = static_cast<size_t>(i);
      const ref::AdamElement before{host_parameters_[at], 0.0, 0.0};
      const std::string fault =
          difference("parameters", i, parameters[at], ref::adam(host_grad_[at], args_.adam, before).parameter,
                     ref::adam_bound(host_grad_[at], 0.0, args_.adam, before).parameter);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return optim::adam_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    const OptimizerParams& adam = args_.adam;
    folder.write("grad", host_grad_, {grad_.size()});
    folder.write("parameters", host_parameters_, {grad_.size()});
    folder.write("adam",
                 std::vector<float>{adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay}, {5});
    folder.write("parameters_after", parameters_.to_host(), {grad_.size()});
  }

 private:
  Context& context_;
  std::vector<float> host_grad_, host_parameters_;
  Buffer<float> grad_, parameters_, moment1_, moment2_;
  optim::AdamArgs args_;
};

// optimizer: 0 SGD, 1 with momentum, 2 Adagrad, 3 RMSProp; the first step from zero state.
class OneState final : public Case {
 public:
  OneState(Context& context, const Shape& shape)
      : context_(context),
        host_grad_(test::random_floats(shape["n"], 33)),
        host_parameters_(test::random_floats(shape["n"], 34)),
        grad_(context, host_grad_),
        parameters_(context, host_parameters_),
        state_(Buffer<float>::zeros(context, shape["n"] * states_of(kOptimizers[shape["optimizer"]]))),
        args_{.grad = grad_.view(),
              .optimizer = kOptimizers[shape["optimizer"]],
              .params = {.weight_decay = 0.01f},
              .parameters = parameters_.view(),
              .state = state_.view()} {}

  void run() override { optim::one_state(context_, args_); }

  std::string fault() override {
    const std::vector<float> parameters = parameters_.to_host();
    for (const int64_t i : spread(grad_.size(), 100000)) {
      const auto at = static_cast<size_t>(i);
      const ref::OneState before{host_parameters_[at], 0.0};
      const std::string fault =
          difference("parameters", i, parameters[at],
                     ref::one_state(args_.optimizer, host_grad_[at], args_.params, before).parameter,
                     ref::one_state_bound(args_.optimizer, host_grad_[at], 0.0, args_.params, before).parameter);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return optim::one_state_cost(args_); }

 private:
  static constexpr Optimizer kOptimizers[] = {Optimizer::sgd, Optimizer::momentum, Optimizer::adagrad,
                                              Optimizer::rmsprop};
  Context& context_;
  std::vector<float> host_grad_, host_parameters_;
  Buffer<float> grad_, parameters_, state_;
  optim::OneStateArgs args_;
};

// To half the norm; later calls find it low enough and only read.
class Clip final : public Case {
 public:
  Clip(Context& context, const Shape& shape)
      : context_(context), host_grad_(test::random_floats(shape["n"], 35)), grad_(context, host_grad_) {
    double squares = 0.0;
    for (const float g : host_grad_) squares += static_cast<double>(g) * static_cast<double>(g);
    norm_ = std::sqrt(squares);
    gradients_ = {grad_.view()};
    args_ = {.gradients = gradients_, .max_norm = static_cast<float>(0.5 * norm_)};
  }

  void run() override { optim::clip(context_, args_); }

  std::string fault() override {
    const std::vector<float> after = grad_.to_host();
    for (const int64_t i : spread(grad_.size(), 100000)) {
      const double expected =
          static_cast<double>(args_.max_norm) / norm_ * static_cast<double>(host_grad_[static_cast<size_t>(i)]);
      const std::string fault =
          difference("gradient", i, after[static_cast<size_t>(i)], expected, 1e-6 * std::abs(expected));
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return optim::clip_cost(args_); }

 private:
  Context& context_;
  std::vector<float> host_grad_;
  Buffer<float> grad_;
  double norm_ = 0.0;
  std::vector<VectorView<float>> gradients_;
  optim::ClipArgs args_;
};

}  // namespace

void add_optim(Suite& suite) {
  suite.add<Adam>("optim", "adam", {{{"n", 1 << 20}}}, {{{"n", 1 << 20}}, {{"n", 1 << 27}}});
  suite.add<OneState>("optim", "one_state", {{{"n", 1 << 20}, {"optimizer", 1}}},
                      {{{"n", 1 << 27}, {"optimizer", 0}},
                       {{"n", 1 << 27}, {"optimizer", 1}},
                       {{"n", 1 << 27}, {"optimizer", 2}},
                       {{"n", 1 << 27}, {"optimizer", 3}}});
  suite.add<Clip>("optim", "clip", {{{"n", 1 << 20}}}, {{{"n", 1 << 27}}});
}

}  // namespace sheaf::bench
