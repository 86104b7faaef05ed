#pragma once
/// One step of training a transformer: loss, gradients of everything it learns, update.
///
/// A query is the last purchase of a basket; its targets are the first `horizon` purchases of later baskets, each of weight
/// 1 / (how many there are). With state h_q and logits h_q . e_i + b_i the loss is the mean over queries of the softmax cross-entropy
///   - sum over targets i of w(q, i) log p(q, i)
/// over the whole catalog, or over a sample of it: all targets of the step and the items drawn uniformly beside them, whose logits
/// gain -log(chance to be among the drawn), so that the sample's sum of exp is right in the mean (Horvitz and Thompson, 1952).

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/transformer.hpp"
#include "engine/train/pair_tables.hpp"
#include "kernels/core/adam.hpp"

namespace sheaf {

/// Stretches of histories and what follows in them.
struct NextItems {
  std::vector<int64_t> offsets{0};  // [n_sequences + 1]
  std::vector<int32_t> items;       // [offsets.back()]
  std::vector<int32_t> users;       // [n_sequences] whose the stretches are
  std::vector<int32_t> queries;     // ascending token numbers
  HostCsr targets;                  // [n_queries, n_items] weights

  int64_t n_sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

/// All histories cut into stretches of at most `max_length` purchases, counted from the newest; those without a query are left out.
/// Stretch s of the result in the order (user, time).
NextItems next_items(const History& history, int64_t n_items, int64_t max_length, int64_t horizon);
/// Some of the stretches, in the order asked for.
NextItems stretches_of(const NextItems& all, const std::vector<int64_t>& which);

/// A batch on the device.
class TransformerBatch {
 public:
  TransformerBatch(Context& context, const NextItems& next, int64_t n_items, const TransformerShape& shape);
  int64_t n_queries() const { return std::ssize(next_.queries); }

 private:
  friend class TransformerCandidates;
  friend class TransformerStep;
  NextItems next_;
  int64_t n_items_;
  Sequences sequences_;
  DeviceCsr queries_;    // [n_queries, n_tokens]
  DeviceCsr query_of_;   // [n_tokens, n_queries]
  Buffer<int32_t> ids_;  // 0 .. n_queries - 1
};

/// The items that a batch's softmax is over.
class TransformerCandidates {
 public:
  /// The whole catalog.
  TransformerCandidates(Context& context, const TransformerBatch& batch);
  /// The batch's targets and what `n_draws` uniform draws by (seed, Purpose::negative, step) add to them.
  TransformerCandidates(Context& context, const TransformerBatch& batch, int64_t n_draws, uint64_t seed, uint32_t step);
  int64_t n() const { return n_; }

 private:
  friend class TransformerStep;
  void gather(Context& context, const TransformerBatch& batch, const std::vector<int32_t>& items);
  int64_t n_ = 0;
  bool all_ = true;
  float correction_ = 0.0f;
  Buffer<int32_t> ids_;  // 0 .. n - 1
  DeviceCsr items_;      // [n, n_items]
  DeviceCsr chosen_;     // [n_items, n]
  DeviceCsr biases_;     // [n, n_items + 1]: the last column is the correction
  DeviceCsr targets_;    // [n_queries, n]
  DeviceCsr gradients_;  // [table_rows, n_tokens + n]: whose gradients a row of the input table gets
};

class TransformerStep {
 public:
  TransformerStep(Context& context, PairTables& model, Transformer& transformer, float dropout, uint64_t seed);

  /// Adds the loss and sets gradients(). Without dropout when `step` is 0.
  void differentiate(const TransformerBatch& batch, const TransformerCandidates& candidates, uint32_t step,
                     VectorView<double> loss);
  void update(const AdamParams& adam);

  struct Gradient {
    Parameter* of;
    const Buffer<float>* value;
  };
  std::vector<Gradient> gradients();

 private:
  Context& context_;
  PairTables& model_;
  Transformer& transformer_;
  float dropout_;
  uint64_t seed_;
  DeviceCsr row_bags_;  // [n_item_rows, n_items]
  Buffer<int32_t> item_ids_, row_ids_, table_ids_;
  Buffer<float> item_vectors_, item_bias_, table_;  // [n_items, dim], [n_items + 1], [table_rows, dim]
  Buffer<float> d_rows_, d_row_bias_;
  std::vector<Buffer<float>> d_weights_;
};

}  // namespace sheaf
