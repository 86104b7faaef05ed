#pragma once
/// A 1-D convolution over short sequences with ReLU and pooling over the positions, forward and backward (Kim,
/// "Convolutional neural networks for sentence classification", 2014). A sequence has `length` vectors of `channels`
/// values, one after another in its row of x; a filter covers `width` neighbours, at positions = length - width + 1
/// places without padding:
///
///   h[r, j, f] = max(0, bias[f] + sum over k < width and c < channels of
///                       filters[f, k * channels + c] * x[r, (j + k) * channels + c])
///   max:  out[r, f] = max over j of h[r, j, f];   winner[r, f] = the lowest j that has it
///   mean: out[r, f] = mean over j of h[r, j, f]
///
/// Gradients (d_filters and d_bias overwritten; d_x overwritten or, with `add_to_d_x`, added to):
///   D[r, j, f] = 0 where h[r, j, f] is not above 0 (the derivative at 0 is 0), else
///     max:  d_out[r, f] where j is winner[r, f], else 0
///     mean: d_out[r, f] / positions
///   d_x[r, (j + k) * channels + c] += filters[f, k * channels + c] * D[r, j, f], over j, k and f
///   d_filters[f, k * channels + c] = sum over r and j of D[r, j, f] * x[r, (j + k) * channels + c]
///   d_bias[f]                      = sum over r and j of D[r, j, f]
///
/// Deterministic, the same bits on any number of CPU threads. NaN and infinity spread as the formulas say, with one
/// exception: a NaN before the ReLU stays NaN in h and gives no gradient. The maximum of positions with a NaN is NaN,
/// and the first of them wins.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

enum class ConvolutionPooling { max, mean };

struct ConvolutionArgs {
  MatrixView<const float> x;        // [n, length * channels] f32
  int64_t channels = 1;             // > 0
  MatrixView<const float> filters;  // [n_filters, width * channels] f32, 1 <= width <= length
  VectorView<const float> bias;     // [n_filters] f32
  ConvolutionPooling pooling = ConvolutionPooling::max;
  MatrixView<float> hidden;         // [n, positions * n_filters] f32: h, for the backward pass
  int64_t first_column = 0;         // of out: filters of several widths may stand beside each other
  MatrixView<float> out;            // [n, first_column + n_filters or more] f32, the other columns are not written
  MatrixView<int32_t> winner = {};  // [n, n_filters] i32; only of max, else empty
};

struct ConvolutionBackwardArgs {
  MatrixView<const float> x;        // [n, length * channels] f32
  int64_t channels = 1;             // > 0
  MatrixView<const float> filters;  // [n_filters, width * channels] f32
  ConvolutionPooling pooling = ConvolutionPooling::max;
  MatrixView<float> hidden;               // [n, positions * n_filters] f32: h of the forward pass; becomes D
  MatrixView<const int32_t> winner = {};  // [n, n_filters] i32 of the forward pass; only of max, else empty
  int64_t first_column = 0;               // of d_out
  MatrixView<const float> d_out;          // [n, first_column + n_filters or more] f32
  bool add_to_d_x = false;                // d_x has a gradient already, to which this one is added
  MatrixView<float> d_x;                  // [n, length * channels] f32
  MatrixView<float> d_filters;            // [n_filters, width * channels] f32
  VectorView<float> d_bias;               // [n_filters] f32
};

/// Rows whose terms of d_filters and d_bias are added in one go at one position. The sums of such pieces are added in
/// order, then those of the positions.
inline constexpr int64_t kConvolutionPiece = 1024;

void convolution(Context& context, const ConvolutionArgs& args);
void convolution_backward(Context& context, const ConvolutionBackwardArgs& args);

OpCost convolution_cost(const ConvolutionArgs& args);
OpCost convolution_backward_cost(const ConvolutionBackwardArgs& args);

SHEAF_BACKENDS(convolution, ConvolutionArgs);
SHEAF_BACKENDS(convolution_backward, ConvolutionBackwardArgs);

}  // namespace sheaf::dense
