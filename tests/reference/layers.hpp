#pragma once
/// Layers of networks by definition, in double precision.

#include <cstdint>
#include <vector>

#include "kernels/core/philox.hpp"
#include "kernels/dense/activation.hpp"
#include "kernels/dense/convolution.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

/// out [n, n_out] before any ReLU, of x [n, n_in], weight [n_out, n_in] and bias [n_out].
Sums linear(int64_t n_in, const std::vector<double>& x, const std::vector<double>& weight,
            const std::vector<double>& bias);

struct LinearGradients {
  Sums x, weight, bias;
};
/// Of the sum of d * linear(x).
LinearGradients linear_backward(int64_t n_in, const std::vector<double>& x, const std::vector<double>& weight,
                                const std::vector<double>& d);

/// A value and how far float arithmetic may be from it.
struct Bounded {
  std::vector<double> value, bound;
  explicit Bounded(size_t size) : value(size), bound(size) {}
};

/// dense::activation of finite x.
Bounded activation(dense::Activation kind, const std::vector<double>& x);

/// dense::activation_backward, from the `kept` floats: x for gelu, else out.
Bounded activation_backward(dense::Activation kind, const std::vector<double>& kept, const std::vector<double>& d_out);

struct Dropout {
  float rate = 0.0f;
  RandomKey key;
  int64_t first_row = 0;
};

struct ResidualNorm {
  std::vector<double> sum, mean, scale;  // [n, dim], [n], [n]
  Bounded normed;                        // [n, dim]
};
/// dense::residual_norm of x [n, dim]; residual may be empty.
ResidualNorm residual_norm(int64_t dim, const std::vector<double>& x, const std::vector<double>& residual,
                           const std::vector<double>& weight, const std::vector<double>& bias, const Dropout& dropout);

struct ResidualNormGradients {
  Bounded sum, x, weight, bias;
};
/// Of the sum of d_normed * normed + d_residual * sum; d_residual may be empty.
ResidualNormGradients residual_norm_backward(int64_t dim, const ResidualNorm& forward,
                                             const std::vector<double>& weight, const std::vector<double>& d_normed,
                                             const std::vector<double>& d_residual, const Dropout& dropout);

/// Of dense::convolution.
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
