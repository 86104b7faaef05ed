#pragma once
/// What both backends do to one value of a convolution, and its sizes.

#include "kernels/core/hd.hpp"
#include "kernels/dense/convolution.hpp"

namespace sheaf::dense {

/// The sizes in which the matrices of a convolution are read.
struct ConvolutionShape {
  int64_t n, row;  // of x: rows, and values a row
  int64_t channels;
  int64_t span;  // values under a filter: width * channels
  int64_t positions;
  int64_t n_filters;

  SHEAF_HD int64_t hidden_row() const { return positions * n_filters; }
};

template <class Args>
ConvolutionShape shape_of(const Args& args) {
  return {.n = args.x.rows,
          .row = args.x.cols,
          .channels = args.channels,
          .span = args.filters.cols,
          .positions = (args.x.cols - args.filters.cols) / args.channels + 1,
          .n_filters = args.filters.rows};
}

SHEAF_HD inline float relu_of(float value) { return value < 0.0f ? 0.0f : value; }

/// Whether `value`, of a later position, takes the place of the largest so far. The first NaN stays.
SHEAF_HD inline bool is_larger(float value, float largest) {
  return value > largest || (value != value && largest == largest);
}

/// D of one position, from its h and from what the pooling gives it of d_out.
SHEAF_HD inline float hidden_gradient(float hidden, float share) { return hidden > 0.0f ? share : 0.0f; }

}  // namespace sheaf::dense
