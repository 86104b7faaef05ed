#include "engine/models/fusion_epoch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/range.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/loss/bce.hpp"
#include "kernels/loss/bpr.hpp"

namespace sheaf {
namespace {

constexpr int64_t kForwardRows = int64_t{1} << 15;  // that pass the network in one go

/// (purchases of its group)^-power of each purchase, with mean 1.
std::vector<float> purchase_weights(const FusionExamples& examples, float power) {
  std::vector<double> size(examples.offsets.size(), 0.0);
  for (const int32_t g : examples.group) size[static_cast<size_t>(g)] += 1.0;
  std::vector<double> weights;
  for (const int32_t g : examples.group) {
    weights.push_back(std::pow(size[static_cast<size_t>(g)], -static_cast<double>(power)));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<float> scaled;
  for (const double w : weights) scaled.push_back(static_cast<float>(w * static_cast<double>(weights.size()) / sum));
  return scaled;
}

class FusionEpoch final : public Epoch {
 public:
  FusionEpoch(Context& context, Sequential& net, FusionExamples examples, const FusionTraining& training)
      : context_(context),
        net_(net),
        examples_(std::move(examples)),
        training_(training),
        weights_(purchase_weights(examples_, training.group_power)),
        table_(context, examples_.x),
        loss_(context, 1) {
    examples_.x = {};
  }

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    const std::vector<int32_t> order = drawn_order(epoch);
    const auto n = static_cast<int64_t>(order.size()), group = 1 + training_.negatives;
    std::vector<int32_t> rows(static_cast<size_t>(n * group));
    std::vector<float> weights(order.size());
    parallel_for(context_, n, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) draw(epoch, order[static_cast<size_t>(p)], rows.data() + p * group);
      for (int64_t p = begin; p < end; ++p) {
        weights[static_cast<size_t>(p)] = weights_[static_cast<size_t>(order[static_cast<size_t>(p)])];
      }
    });
    const Buffer<int32_t> device_rows(context_, rows);
    const Buffer<float> device_weights(context_, weights);
    const int64_t n_steps = (n + training_.batch - 1) / training_.batch;
    for (int64_t s = 0; s < n_steps; ++s) {
      check_interrupt("training");
      const int64_t first = s * training_.batch;
      ++n_steps_;
      const OptimizerParams by = step_params(training_.rule, epoch, s, n_steps, n_steps_);
      const int64_t count = std::min(training_.batch, n - first);
      step(device_rows.view().subview(first * group, count * group), device_weights.view().subview(first, count), count,
           by);
    }
    return loss_.to_host()[0] / static_cast<double>(std::max<int64_t>(1, n_steps));
  }

  int64_t steps() const override { return static_cast<int64_t>(n_steps_); }
  void set_steps(int64_t steps) override { n_steps_ = static_cast<uint32_t>(steps); }

 private:
  std::vector<int32_t> drawn_order(int64_t epoch) const {
    std::vector<int32_t> order(examples_.bought.size());
    std::iota(order.begin(), order.end(), 0);
    const RandomKey key{training_.seed, Purpose::shuffle, static_cast<uint32_t>(epoch)};
    std::ranges::stable_sort(order, {}, [&](int32_t p) { return random_u32(key, static_cast<uint64_t>(p), 0); });
    return order;
  }

  /// The purchase's row and those drawn beside it.
  void draw(int64_t epoch, int32_t purchase, int32_t* rows) const {
    const RandomKey key{training_.seed, Purpose::negative, static_cast<uint32_t>(epoch)};
    const auto g = static_cast<size_t>(examples_.group[static_cast<size_t>(purchase)]);
    const int64_t begin = examples_.offsets[g];
    const auto count = static_cast<uint32_t>(examples_.offsets[g + 1] - begin);
    rows[0] = examples_.bought[static_cast<size_t>(purchase)];
    for (int64_t j = 1; j <= training_.negatives; ++j) {
      const uint32_t place = bounded(random_u32(key, static_cast<uint64_t>(purchase), static_cast<uint32_t>(j)), count);
      rows[j] = examples_.others[static_cast<size_t>(begin + place)];
    }
  }

  void step(VectorView<const int32_t> rows, VectorView<const float> weights, int64_t count, const OptimizerParams& by) {
    const Range range("training step");
    ScratchScope scratch(context_);
    Pass pass(context_, scratch, {training_.dropout, training_.seed, n_steps_});
    const MatrixView<float> x = pass.take(rows.size, examples_.width), d_x = pass.take(rows.size, examples_.width),
                            logits = pass.take(rows.size, 1);
    embedding::bag_sums(context_, table_.matrix(table_.size() / examples_.width, examples_.width),
                        embedding::lookup(rows), x);
    net_.forward(pass, x, logits);
    const MatrixView<float> grouped{logits.data, count, rows.size / count};
    if (training_.pairwise) {
      loss::bpr(context_, {.logits = grouped, .row_weight = weights, .d_logits = grouped, .loss = loss_.view()});
    } else {
      loss::bce(context_, {.logits = grouped,
                           .row_weight = weights,
                           .positive_weight = training_.positive_weight,
                           .d_logits = grouped,
                           .loss = loss_.view()});
    }
    net_.backward(pass, logits, d_x);
    optimizer_steps(context_, net_.parameters(), by, training_.rule.clip_norm);
  }

  Context& context_;
  Sequential& net_;
  FusionExamples examples_;
  FusionTraining training_;
  std::vector<float> weights_;  // of each purchase
  Buffer<float> table_;         // [n, width]
  Buffer<double> loss_;
  uint32_t n_steps_ = 0;
};

}  // namespace

std::unique_ptr<Epoch> make_fusion_epoch(Context& context, Sequential& net, FusionExamples examples,
                                         const FusionTraining& training) {
  return std::make_unique<FusionEpoch>(context, net, std::move(examples), training);
}

void fusion_forward(Context& context, const Sequential& net, MatrixView<const float> x, float* out) {
  for (int64_t first = 0; first < x.rows; first += kForwardRows) {
    const int64_t n = std::min(kForwardRows, x.rows - first);
    ScratchScope scratch(context);
    Pass pass(context, scratch);
    // Forward reads x alone.
    net.forward(pass, MatrixView<float>{const_cast<float*>(x.row(first)), n, x.cols},
                MatrixView<float>{out + first, n, 1});
  }
}

}  // namespace sheaf
