#pragma once
/// The layers of a transformer by definition, in double precision.

#include <cstdint>
#include <vector>

#include "kernels/core/philox.hpp"
#include "kernels/dense/activation.hpp"
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

}  // namespace sheaf::ref
