#pragma once
/// The network of `autoencoder` and one step of its training.
///
///   h_1 = act(x E + b_E), x [n, n_items] sparse and never made dense: a weighted sum of rows of E (AutoRec: Sedhain et
///   al., WWW 2015)
///   h_l = act(h_(l-1) W_l^T + b_l) through the other widths and back: 128-64 is 128, 64, 128
///   score(u, i) = h_L . D[i, :] + d_i
///
/// The loss is the softmax cross-entropy of each user's purchases over the whole catalog, summed and divided by the
/// users of the batch (Mult-DAE: Liang et al., WWW 2018; kernels/loss/full_softmax.hpp), or the binary cross-entropy of
/// sigmoid(score) for each purchase and drawn items beside it (CDAE: Wu et al., WSDM 2016; engine/train/pair_loss.hpp).
/// In training a share of the entries of x is left out and the others are divided by 1 - share (Vincent et al., ICML
/// 2008).

#include <cstdint>
#include <string>
#include <vector>

#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/sequential.hpp"
#include "engine/train/pair_loss.hpp"
#include "kernels/dense/activation.hpp"

namespace sheaf {

/// Each row divided by the root of the sum of its squares; rows of zeros stay.
HostCsr with_unit_rows(HostCsr rows);

/// The row of row_numbers[r] of `rows` as row r, for each r.
HostCsr rows_at(const HostCsr& rows, const std::vector<int32_t>& row_numbers);

/// `rows` without those entries whose uniform draw by (seed, Purpose::dropout, epoch, number of the row, column) is
/// below `share`; what is left is divided by 1 - share. row_numbers names the rows, so that a draw does not depend on
/// the batch.
HostCsr with_noise(const HostCsr& rows, const std::vector<int32_t>& row_numbers, double share, uint64_t seed,
                   uint32_t epoch);

struct AutoencoderShape {
  int64_t n_items = 0;
  std::vector<int64_t> hidden;  // at least one
  dense::Activation activation = dense::Activation::tanh;
};

/// Rows of weights on the device, as the first layer takes them.
class SparseRows {
 public:
  /// rows [n, n_items] with values.
  SparseRows(Context& context, const HostCsr& rows, bool with_backward);
  int64_t n() const { return items_.n_bags(); }

 private:
  friend class AutoencoderNet;
  EmbeddingBag items_;   // [n, n_items]
  EmbeddingBag biases_;  // [n, 1]: row 0 each
};

class AutoencoderNet {
 public:
  /// Zeros. DataError without an item.
  AutoencoderNet(Context& context, const AutoencoderShape& shape);
  /// Normal weights; the output begins as the input, and its biases at the logarithm of the items' weight in
  /// `train_items`.
  void initialise(uint64_t seed, const HostCsr& train_items);

  int64_t n_items() const { return input.rows; }
  /// Columns of the states.
  int64_t width() const { return input.cols; }
  /// h_L: states [x.n(), width].
  void forward(Pass& pass, const SparseRows& x, MatrixView<float> states) const;
  /// Sets the gradients of all parameters but the output's.
  void backward(Pass& pass, const SparseRows& x, MatrixView<float> d_states);
  /// h_L of all rows, in blocks. `states` is [rows.n_rows(), width].
  void encode(Context& context, const HostCsr& rows, MatrixView<float> states) const;

  std::vector<Parameter*> parameters();
  Parameter input;        // [n_items, width] E
  Parameter input_bias;   // [1, width]
  Parameter output;       // [n_items, width] D
  Parameter output_bias;  // [n_items, 1]

 private:
  Sequential inner_;
};

/// Users who are learned from in one step.
struct AutoencoderBatch {
  HostCsr x;        // [n, n_items] with noise
  HostCsr targets;  // [n, n_items] weights of what they bought
};

class AutoencoderStep {
 public:
  /// Begins the training of all parameters. params.loss is softmax or bce.
  AutoencoderStep(Context& context, AutoencoderNet& net, const TrainParams& params);

  /// Adds the loss and sets the gradients of all parameters. `round` keys the drawn pairs of bce. Waits for the device.
  void differentiate(const AutoencoderBatch& batch, uint32_t round, VectorView<double> loss);
  void update(const OptimizerParams& by);

 private:
  Context& context_;
  AutoencoderNet& net_;
  TrainParams params_;
};

}  // namespace sheaf
