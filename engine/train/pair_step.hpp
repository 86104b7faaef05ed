#pragma once
/// One step of training on sampled pairs: a batch of purchases, each beside items that were not bought; the loss of
/// their logits by BPR or BCE; the gradients; the update of the rows that the batch touches.

#include <cstdint>

#include "engine/data/csr.hpp"
#include "engine/layers/pair_scores.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/train_settings.hpp"

namespace sheaf {

/// The purchases of an epoch and what negatives are drawn from, on the device.
struct Positives {
  Positives(Context& context, const HostCsr& train_items, const TrainParams& params);

  int64_t n = 0;                  // an epoch
  Buffer<int32_t> users;          // [n]
  Buffer<int32_t> items;          // [n]
  Buffer<float> weights;          // [n] or empty
  DeviceCsr taken;                // [n_users, n_items]
  Buffer<float> alias_threshold;  // [n_items] or empty
  Buffer<int32_t> alias_item;     // [n_items] or empty
};

/// Over- and undersampling by the frequency of items (systematic resampling): as many purchases as there are, each in
/// proportion to (purchases of its item)^-power. A purchase is there as often as expected, rounded up or down, so is
/// an item. Ascending places in `purchases`.
std::vector<int64_t> resampled_purchases(const HostCsr& purchases, double power, uint64_t seed);

class PairStep {
 public:
  /// Begins the training of the model's parameters. `positives` and `model` must outlive it.
  PairStep(Context& context, PairTables& model, const Positives& positives, const TrainParams& params);

  /// The positives first .. first + n_batch - 1 of the epoch's order: adds their mean loss and updates the model. The
  /// step number of `by` decides the dropout.
  void run(uint32_t epoch, int64_t first, int64_t n_batch, const OptimizerParams& by, VectorView<double> loss);

 private:
  struct Batch;
  void dot_scores(Pass& pass, const Batch& batch, const OptimizerParams& by, VectorView<double> loss);
  void additive_scores(Pass& pass, const Batch& batch, const OptimizerParams& by, VectorView<double> loss);
  /// The logits' gradient takes their place.
  void lose(MatrixView<float> logits, VectorView<const float> weights, VectorView<double> loss);
  void drop(const Pass& pass, const PairVectors& x);

  Context& context_;
  PairTables& model_;
  const Positives& positives_;
  const TrainParams& params_;
  int64_t group_;  // a positive and its negatives
};

}  // namespace sheaf
