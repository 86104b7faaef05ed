#pragma once
/// What a model is composed of. A layer maps rows to rows and owns the parameters it learns:
///
///   forward:  out = f(x; parameters)
///   backward: d_x = (df/dx)^T d_out, and (df/dp)^T d_out into the gradient of each parameter p   (both overwritten)
///
/// One Pass goes forward and then backward through the same layers: forward leaves in it what backward needs, so that a
/// layer itself stays as it is and several passes may use it one after another. engine/layers/README.md lists the
/// layers.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/layers/parameter.hpp"
#include "engine/layers/tensor.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {

/// Sequences one after another: sequence s holds the rows offsets[s] .. offsets[s + 1] - 1.
struct PackedSequences {
  VectorView<const int64_t> offsets;  // [n_sequences + 1] on the device
  int64_t longest = 0;                // rows of the longest one
  /// As in attention::Shape, once for all layers and passes; or empty.
  VectorView<const int32_t> order = {};
  VectorView<const int32_t> reaching = {};
};

/// Places of a model that draw dropout are numbered; each has so many numbers of rows for itself.
inline constexpr int64_t kRowsOfAPlace = int64_t{1} << 36;

/// Which numbers dropout draws; a rate of 0 drops nothing.
struct DropoutDraw {
  float rate = 0.0f;
  uint64_t seed = 0;
  uint32_t step = 0;

  RandomKey key(Purpose purpose) const { return {seed, purpose, step}; }
};

class Pass {
 public:
  /// Activations live in `scratch` and as long as it.
  Pass(Context& where, ScratchScope& scratch, DropoutDraw draw = {}, PackedSequences packed = {})
      : context(where), dropout(draw), sequences(packed), scratch_(scratch) {}

  /// Uninitialised.
  MatrixView<float> take(int64_t rows, int64_t cols) { return {scratch_.take<float>(rows * cols), rows, cols}; }
  /// Leaves a tensor for the backward pass, which takes them back last in, first out.
  void keep(Tensor tensor) { kept_.push_back(tensor); }
  Tensor take_back();

  Context& context;
  const DropoutDraw dropout;
  const PackedSequences sequences;

 private:
  ScratchScope& scratch_;
  std::vector<Tensor> kept_;
};

/// Draws the first values of parameters: each takes the next table number, whether it draws or not.
struct Initialiser {
  uint64_t seed = 0;
  uint32_t next_table = 0;
};

class Layer {
 public:
  Layer() = default;
  virtual ~Layer() = default;
  Layer(Layer&&) = default;
  Layer& operator=(Layer&&) = default;

  /// Columns of out for x of so many columns. UsageError for an x that the layer does not take.
  virtual int64_t out_cols(int64_t cols) const { return cols; }
  /// x is kept for the backward pass: it must live as long as `pass`. out aliases nothing.
  virtual void forward(Pass& pass, Tensor x, Tensor out) const = 0;
  /// d_out may be overwritten. d_x aliases nothing.
  virtual void backward(Pass& pass, Tensor d_out, Tensor d_x) = 0;

  /// In the order in which they are saved.
  virtual std::vector<Parameter*> parameters() { return {}; }
  virtual void initialise(Initialiser& from) { from.next_table += static_cast<uint32_t>(parameters().size()); }
};

using Layers = std::vector<std::unique_ptr<Layer>>;

}  // namespace sheaf
