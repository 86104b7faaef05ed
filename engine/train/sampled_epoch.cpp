#include "engine/train/sampled_epoch.hpp"

#include <algorithm>

#include "engine/train/pair_step.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

class SampledEpoch : public Epoch {
 public:
  SampledEpoch(Context& context, PairTables& model, const HostCsr& train_items, const TrainParams& params)
      : params_(params),
        positives_(context, train_items, params),
        step_(context, model, positives_, params_),
        loss_(context, 1) {}

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    const int64_t n_of_epoch = (positives_.n + params_.batch - 1) / params_.batch;
    int64_t n_batches = 0;
    for (int64_t first = 0; first < positives_.n; first += params_.batch, ++n_batches) {
      check_interrupt("training");
      const int64_t n = std::min(params_.batch, positives_.n - first);
      ++n_steps_;
      step_.run(static_cast<uint32_t>(epoch), first, n,
                step_params(params_.rule, epoch, n_batches, n_of_epoch, n_steps_), loss_.view());
    }
    return loss_.to_host()[0] / static_cast<double>(n_batches);
  }

  int64_t steps() const override { return n_steps_; }
  void set_steps(int64_t steps) override { n_steps_ = steps; }

 private:
  TrainParams params_;
  Positives positives_;
  PairStep step_;
  Buffer<double> loss_;
  int64_t n_steps_ = 0;
};

}  // namespace

std::unique_ptr<Epoch> make_sampled_epoch(Context& context, PairTables& model, const HostCsr& train_items,
                                          const TrainParams& params) {
  if (params.rule.clip_norm > 0.0f) {
    throw UsageError(
        "model.clip_norm needs the gradients of all rows, and the losses bpr and bce of this model step only "
        "the rows that a batch touches",
        "set it to 0, or take model.loss = softmax");
  }
  return std::make_unique<SampledEpoch>(context, model, train_items, params);
}

}  // namespace sheaf
