#pragma once
/// A 1-D convolution with ReLU and pooling by definition, in double precision.

#include <cstdint>
#include <vector>

#include "kernels/dense/convolution.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

struct ConvolutionShape {
  int64_t n, length, channels, width, n_filters;

  int64_t positions() const { return length - width + 1; }
};

/// Before the ReLU, [n, positions, n_filters].
Sums convolution(const ConvolutionShape& shape, const std::vector<double>& x, const std::vector<double>& filters,
                 const std::vector<double>& bias);

struct Pooled {
  std::vector<double> value;      // [n, n_filters]
  std::vector<double> magnitude;  // of the terms of a mean
  std::vector<int32_t> winner;    // of a maximum
};
/// Of h after the ReLU, [n, positions, n_filters].
Pooled pooled(const ConvolutionShape& shape, dense::ConvolutionPooling pooling, const std::vector<double>& hidden);

/// D [n, positions, n_filters] from h after the ReLU and d_out [n, n_filters]; a mean's quotients as floats.
std::vector<double> pooled_backward(const ConvolutionShape& shape, dense::ConvolutionPooling pooling,
                                    const std::vector<double>& hidden, const std::vector<double>& d_out);

struct ConvolutionGradients {
  Sums x, filters, bias;
};
/// Of the sum of d * convolution(x), d [n, positions, n_filters].
ConvolutionGradients convolution_backward(const ConvolutionShape& shape, const std::vector<double>& x,
                                          const std::vector<double>& filters, const std::vector<double>& d);

}  // namespace sheaf::ref
