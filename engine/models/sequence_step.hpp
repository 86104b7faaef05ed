#pragma once
/// One step of training a network: loss, gradients of everything it learns, update.
///
/// A query is the last purchase of a basket; its targets are the first `horizon` purchases of later baskets, each of
/// weight 1 / (how many there are). With state h_q and logits h_q . e_i + b_i the loss is the mean over queries of the
/// softmax cross-entropy
///   - sum over targets i of w(q, i) log p(q, i)
/// over the whole catalog, or over a sample of it: all targets of the step and the items drawn uniformly beside them,
/// whose logits gain -log(chance to be among the drawn), so that the sample's sum of exp is right in the mean (Horvitz
/// and Thompson, 1952).

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/sequence_network.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/step_rule.hpp"

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

/// All histories cut into stretches of at most `max_length` purchases, counted from the newest; those without a query
/// are left out. Stretch s of the result in the order (user, time).
NextItems next_items(const History& history, int64_t n_items, int64_t max_length, int64_t horizon);
/// Some of the stretches, in the order asked for.
NextItems stretches_of(const NextItems& all, const std::vector<int64_t>& which);

/// A batch on the device.
class SequenceBatch {
 public:
  SequenceBatch(Context& context, const NextItems& next, int64_t n_items, const TokenShape& shape);
  int64_t n_queries() const { return std::ssize(next_.queries); }

 private:
  friend class SequenceCandidates;
  friend class SequenceStep;
  NextItems next_;
  int64_t n_items_;
  Sequences sequences_;
  EmbeddingBag queries_;  // [n_queries, n_tokens]
};

/// The items that a batch's softmax is over.
class SequenceCandidates {
 public:
  /// The whole catalog.
  SequenceCandidates(Context& context, const SequenceBatch& batch);
  /// The batch's targets and what `n_draws` uniform draws by (seed, Purpose::negative, step) add to them.
  SequenceCandidates(Context& context, const SequenceBatch& batch, int64_t n_draws, uint64_t seed, uint32_t step);
  int64_t n() const { return n_; }
  /// Of device memory.
  int64_t bytes() const { return items_.bytes() + biases_.bytes() + targets_.bytes() + sources_.bytes(); }

 private:
  friend class SequenceStep;
  void gather(Context& context, const SequenceBatch& batch, const std::vector<int32_t>& items);
  int64_t n_ = 0;
  bool all_ = true;
  float correction_ = 0.0f;
  EmbeddingBag items_;    // [n, n_items]
  EmbeddingBag biases_;   // [n, n_items + 1]: the last column is the correction
  DeviceCsr targets_;     // [n_queries, n]
  EmbeddingBag sources_;  // [n_tokens + n, table_rows]: which rows of the input table tokens and candidates are made of
};

class SequenceStep {
 public:
  /// Begins the training of all parameters.
  SequenceStep(Context& context, PairTables& model, SequenceNetwork& network, float dropout, uint64_t seed,
               const StepRule& rule = {});

  /// Adds the loss and sets the gradients of trained(). Without dropout when `step` is 0.
  void differentiate(const SequenceBatch& batch, const SequenceCandidates& candidates, uint32_t step,
                     VectorView<double> loss);
  void update(const OptimizerParams& by);
  /// The items' rows and biases, then the network's parameters.
  std::vector<Parameter*> trained();

 private:
  Context& context_;
  PairTables& model_;
  SequenceNetwork& network_;
  float dropout_;
  uint64_t seed_;
  StepRule rule_;
  EmbeddingBag item_bags_;                          // [n_items, n_item_rows]
  Buffer<float> item_vectors_, item_bias_, table_;  // [n_items, dim], [n_items + 1], [table_rows, dim]
};

}  // namespace sheaf
