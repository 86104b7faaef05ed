#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/loss/bce.hpp"
#include "kernels/loss/bpr.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "tests/reference/loss.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

// The losses over sampled negatives differ in the function alone.
class SampledLoss : public Case {
 public:
  SampledLoss(Context& context, const Shape& shape)
      : context_(context),
        n_batch_(shape["n_batch"]),
        group_(shape["group"]),
        host_logits_(test::random_floats(n_batch_ * group_, 60, -4.0f, 4.0f)),
        host_weight_(test::random_floats(n_batch_, 61, 0.5f, 2.0f)),
        logits_(context, host_logits_),
        weight_(context, host_weight_),
        d_logits_(poisoned<float>(context, n_batch_ * group_)),
        loss_(Buffer<double>::zeros(context, 1)) {}

 protected:
  ref::LossInput exact() const { return {n_batch_, group_, to_double(host_logits_), to_double(host_weight_), 1.0}; }
  std::string compare(const ref::LossOutput& expected) const {
    const std::vector<float> got = d_logits_.to_host();
    std::string fault = difference("loss", 0, loss_.to_host()[0], expected.loss, expected.loss_bound);
    for (size_t i = 0; i < got.size() && fault.empty(); ++i) {
      fault = difference("d_logits", static_cast<int64_t>(i), got[i], expected.d_logits[i], expected.d_bounds[i]);
    }
    return fault;
  }

  Context& context_;
  int64_t n_batch_, group_;
  std::vector<float> host_logits_, host_weight_;
  Buffer<float> logits_, weight_, d_logits_;
  Buffer<double> loss_;
};

class Bce final : public SampledLoss {
 public:
  using SampledLoss::SampledLoss;
  void run() override { loss::bce(context_, args()); }
  std::string fault() override { return compare(ref::bce(exact())); }
  OpCost cost() const override { return loss::bce_cost(args()); }

 private:
  loss::BceArgs args() const {
    return {.logits = logits_.matrix(n_batch_, group_),
            .row_weight = weight_.view(),
            .positive_weight = 1.0f,
            .d_logits = {d_logits_.data(), n_batch_, group_},
            .loss = {loss_.data(), 1}};
  }
};

class Bpr final : public SampledLoss {
 public:
  using SampledLoss::SampledLoss;
  void run() override { loss::bpr(context_, args()); }
  std::string fault() override { return compare(ref::bpr(exact())); }
  OpCost cost() const override { return loss::bpr_cost(args()); }

 private:
  loss::BprArgs args() const {
    return {.logits = logits_.matrix(n_batch_, group_),
            .row_weight = weight_.view(),
            .d_logits = {d_logits_.data(), n_batch_, group_},
            .loss = {loss_.data(), 1}};
  }
};

class FullSoftmax final : public Case {
 public:
  FullSoftmax(Context& context, const Shape& shape)
      : context_(context),
        n_users_(shape["n_users"]),
        n_items_(shape["n_items"]),
        dim_(shape["dim"]),
        host_users_(test::random_floats(n_users_ * dim_, 62)),
        host_items_(test::random_floats(n_items_ * dim_, 63)),
        host_bias_(test::random_floats(n_items_, 64)),
        host_targets_(popular_csr(n_users_, n_items_, 20, 65, true)),
        users_(context, host_users_),
        items_(context, host_items_),
        bias_(context, host_bias_),
        targets_(context, host_targets_),
        d_users_(poisoned<float>(context, n_users_ * dim_)),
        d_items_(poisoned<float>(context, n_items_ * dim_)),
        d_bias_(poisoned<float>(context, n_items_)),
        loss_(Buffer<double>::zeros(context, 1)) {}

  void run() override { loss::full_softmax(context_, args(n_users_)); }

  // The gradients of the items sum over all users. So the op also runs on the first few users alone, as the oracle
  // does.
  std::string fault() override {
    const int64_t n = std::min<int64_t>(n_users_, 32);
    const std::vector<float> d_users = d_users_.to_host();
    loss_.fill_bytes(0);
    loss::full_softmax(context_, args(n));
    Expected expected(n, n_items_, dim_);
    for (int64_t u = 0; u < n; ++u) add_user(u, expected);
    return first_of({compare("d_users", d_users, expected.d_users, n * dim_),
                     compare("d_items", d_items_.to_host(), expected.d_items, n_items_ * dim_),
                     compare("d_item_bias", d_bias_.to_host(), expected.d_bias, n_items_),
                     difference("loss", 0, loss_.to_host()[0], expected.loss.value, expected.loss.bound)});
  }

  OpCost cost() const override { return loss::full_softmax_cost(args(n_users_)); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("users", host_users_, {n_users_, dim_});
    folder.write("items", host_items_, {n_items_, dim_});
    folder.write("item_bias", host_bias_, {n_items_});
    folder.write("targets", host_targets_);
    folder.write("d_users", d_users_.to_host(), {n_users_, dim_});
    folder.write("d_items", d_items_.to_host(), {n_items_, dim_});
    folder.write("d_item_bias", d_bias_.to_host(), {n_items_});
  }

 private:
  struct Value {
    double value = 0.0, bound = 0.0;
  };
  struct Expected {
    Expected(int64_t n_users, int64_t n_items, int64_t dim)
        : d_users(static_cast<size_t>(n_users * dim)),
          d_items(static_cast<size_t>(n_items * dim)),
          d_bias(static_cast<size_t>(n_items)) {}
    std::vector<Value> d_users, d_items, d_bias;
    Value loss;
  };

  loss::FullSoftmaxArgs args(int64_t n) const {
    CsrView targets = targets_.view();
    targets.n_rows = n;
    targets.nnz = host_targets_.row_offsets[static_cast<size_t>(n)];
    return {.users = {users_.data(), n, dim_},
            .items = items_.matrix(n_items_, dim_),
            .item_bias = bias_.view(),
            .targets = targets,
            .scale = 1.0f,
            .d_users = {d_users_.data(), n, dim_},
            .d_items = {d_items_.data(), n_items_, dim_},
            .d_item_bias = {d_bias_.data(), n_items_},
            .loss = {loss_.data(), 1}};
  }

  // By definition. A score errs by the rounding of its sum, e = exp(score - max) by as much relatively, p by twice that
  // and the rounding of a sum of n_items terms. Every later sum over G adds its own rounding. d_users may sum
  // probabilities and targets apart, and scales sums at most twice for each 256 items.
  void add_user(int64_t u, Expected& expected) const {
    const float* user = host_users_.data() + u * dim_;
    std::vector<double> score(static_cast<size_t>(n_items_)), weight(score.size());
    double error = 0.0, top = -1e300, total = 0.0, weights = 0.0;
    for (int64_t i = 0; i < n_items_; ++i) {
      const auto at = static_cast<size_t>(i);
      const ref::Dot dot = ref::dot(user, host_items_.data() + i * dim_, dim_);
      const double bias = host_bias_[at];
      score[at] = dot.value + bias;
      error = std::max(error, ref::sum_bound(dim_ + 2, dot.magnitude + std::abs(bias)));
      top = std::max(top, score[at]);
    }
    for (const double s : score) total += std::exp(s - top);
    const double log_total = top + std::log(total);
    const auto row = static_cast<size_t>(u);
    for (auto e = static_cast<size_t>(host_targets_.row_offsets[row]);
         e < static_cast<size_t>(host_targets_.row_offsets[row + 1]); ++e) {
      const auto item = static_cast<size_t>(host_targets_.columns[e]);
      weight[item] = host_targets_.values[e];
      weights += weight[item];
      const double log_p = score[item] - log_total;
      expected.loss.value -= weight[item] * log_p;
      expected.loss.bound += weight[item] * (2.0 * error + relative_error() + 8.0 * 0x1.0p-24 * std::abs(log_p));
    }
    for (int64_t i = 0; i < n_items_; ++i) {
      const auto at = static_cast<size_t>(i);
      const double p = std::exp(score[at] - log_total);
      const double g = weights * p - weight[at];
      const double g_error =
          weights * p * (2.0 * error + relative_error()) + 4.0 * 0x1.0p-24 * (weights * p + weight[at]);
      const double apart = static_cast<double>(2 * n_items_ + 2) * 0x1.0p-24 * 2.0 * std::min(weights * p, weight[at]);
      add(expected.d_bias[at], g, g_error, 32);
      for (int64_t c = 0; c < dim_; ++c) {
        const double item = host_items_[static_cast<size_t>(i * dim_ + c)];
        add(expected.d_users[static_cast<size_t>(u * dim_ + c)], g * item, (g_error + apart) * std::abs(item),
            2 * n_items_);
        add(expected.d_items[static_cast<size_t>(i * dim_ + c)], g * user[c], g_error * std::abs(user[c]), 32);
      }
    }
  }
  double relative_error() const { return static_cast<double>(n_items_ + 16) * 0x1.0p-24; }
  static void add(Value& sum, double term, double term_error, int64_t n_terms) {
    sum.value += term;
    sum.bound += term_error + static_cast<double>(n_terms + 2) * 0x1.0p-24 * (std::abs(term) + term_error);
  }
  static std::string compare(const std::string& what, const std::vector<float>& got, const std::vector<Value>& expected,
                             int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      const std::string fault = difference(what, i, got[at], expected[at].value, expected[at].bound);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  Context& context_;
  int64_t n_users_, n_items_, dim_;
  std::vector<float> host_users_, host_items_, host_bias_;
  test::HostCsr host_targets_;
  Buffer<float> users_, items_, bias_;
  test::DeviceCsr targets_;
  Buffer<float> d_users_, d_items_, d_bias_;
  Buffer<double> loss_;
};

}  // namespace

void add_loss(Suite& suite) {
  const std::vector<Shape> quick{{{"n_batch", 65536}, {"group", 5}}};
  const std::vector<Shape> full{{{"n_batch", 1 << 20}, {"group", 5}}, {{"n_batch", 65536}, {"group", 101}}};
  suite.add<Bce>("loss", "bce", quick, full);
  suite.add<Bpr>("loss", "bpr", quick, full);
  suite.add<FullSoftmax>(
      "loss", "full_softmax",
      {{{"n_users", 1024}, {"n_items", 4000}, {"dim", 32}}, {{"n_users", 1024}, {"n_items", 20000}, {"dim", 64}}},
      {{{"n_users", 4096}, {"n_items", 4000}, {"dim", 32}}, {{"n_users", 4096}, {"n_items", 100000}, {"dim", 64}}});
}

}  // namespace sheaf::bench
