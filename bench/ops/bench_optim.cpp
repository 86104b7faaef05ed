#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/optim/adam.hpp"
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
    const AdamParams& adam = args_.adam;
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

}  // namespace

void add_optim(Suite& suite) {
  suite.add<Adam>("optim", "adam", {{{"n", 1 << 20}}}, {{{"n", 1 << 20}}, {{"n", 1 << 27}}});
}

}  // namespace sheaf::bench
