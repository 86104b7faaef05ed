#include "engine/models/sequence_epoch.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "engine/models/sequence_step.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

/// 0 .. n - 1 in an order drawn from (seed, Purpose::shuffle, round).
std::vector<int64_t> drawn_order(int64_t n, uint64_t seed, uint32_t round) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const RandomKey key{seed, Purpose::shuffle, round};
  std::ranges::stable_sort(order, {}, [&](int64_t i) { return random_u32(key, static_cast<uint64_t>(i), 0); });
  return order;
}

class SequenceEpoch : public Epoch {
 public:
  SequenceEpoch(Context& context, PairTables& model, SequenceNetwork& network, const HostCsr& train_items,
                const NextItems& all, const TrainParams& params)
      : context_(context),
        params_(params),
        step_(context, model, network, params.dropout, params.seed, params.rule),
        loss_(context, 1) {
    const std::vector<int64_t> order = drawn_order(all.n_sequences(), params.seed, 0);
    for (size_t first = 0; first < order.size(); first += static_cast<size_t>(params.sequences)) {
      const auto begin = order.begin() + static_cast<int64_t>(first);
      const auto end = begin + std::min<int64_t>(params.sequences, order.end() - begin);
      batches_.emplace_back(context, stretches_of(all, {begin, end}), model.n_items(), network.token_shape());
      if (params.loss == LossKind::softmax) whole_.emplace_back(context, batches_.back());
    }
    model.item_bias.value.assign(log_popularity(train_items, model.item_bias.rows));
  }

  double run(int64_t epoch) override {
    loss_.fill_bytes(0);
    const auto start = std::chrono::steady_clock::now();
    int64_t done = 0;
    for (const int64_t b : drawn_order(std::ssize(batches_), params_.seed, static_cast<uint32_t>(epoch))) {
      check_interrupt("training");
      if (params_.on_long_epoch && n_steps_ == 1) warn_of_long_epoch(start);
      const SequenceBatch& batch = batches_[static_cast<size_t>(b)];
      ++n_steps_;
      if (params_.loss == LossKind::softmax) {
        step_.differentiate(batch, whole_[static_cast<size_t>(b)], n_steps_, loss_.view());
      } else {
        const SequenceCandidates drawn(context_, batch, params_.shared_negatives, params_.seed, n_steps_);
        step_.differentiate(batch, drawn, n_steps_, loss_.view());
        context_.synchronize();  // `drawn` ends here
      }
      step_.update(step_params(params_.rule, epoch, done++, std::ssize(batches_), n_steps_));
    }
    return loss_.to_host()[0] / static_cast<double>(batches_.size());
  }

  int64_t steps() const override { return static_cast<int64_t>(n_steps_); }
  void set_steps(int64_t steps) override { n_steps_ = static_cast<uint32_t>(steps); }

 private:
  /// By the time that the first step took.
  void warn_of_long_epoch(std::chrono::steady_clock::time_point start) {
    const auto warn = std::exchange(params_.on_long_epoch, {});
    context_.synchronize();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const double epoch = taken.count() * static_cast<double>(batches_.size());
    if (params_.loss == LossKind::softmax && epoch > params_.long_epoch) warn(epoch);
  }

  Context& context_;
  TrainParams params_;
  std::vector<SequenceBatch> batches_;
  std::vector<SequenceCandidates> whole_;  // of each batch, for the softmax over the whole catalog
  SequenceStep step_;
  Buffer<double> loss_;
  uint32_t n_steps_ = 0;
};

}  // namespace

std::unique_ptr<Epoch> make_sequence_epoch(Context& context, PairTables& model, SequenceNetwork& network,
                                           const HostCsr& train_items, const History& history,
                                           const TrainParams& params) {
  if (params.sequences < 1 || params.horizon < 1 || params.shared_negatives < 1) {
    throw UsageError("batch, horizon and negatives must each be at least 1", "see `sheaf config`");
  }
  if (history.n_users() != model.n_users()) {
    throw UsageError("the history of " + std::to_string(history.n_users()) + " users does not fit a model of " +
                         std::to_string(model.n_users()),
                     "give a history of every user, empty or not");
  }
  const NextItems all = next_items(history, model.n_items(), network.token_shape().max_length, params.horizon);
  if (all.queries.empty()) {
    throw DataError("no user has a training purchase after another, so that there is nothing to foresee",
                    "check the split of the import, or set model.preference to factorization");
  }
  return std::make_unique<SequenceEpoch>(context, model, network, train_items, all, params);
}

}  // namespace sheaf
