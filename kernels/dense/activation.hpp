#pragma once
/// Element-wise activations of a matrix, forward and backward.
///
///   relu     max(0, x)
///   sigmoid  1 / (1 + e^-x)
///   tanh     (e^x - e^-x) / (e^x + e^-x)
///   gelu     x Phi(x) = 0.5 x (1 + erf(x / sqrt 2)), without the tanh approximation (Hendrycks and Gimpel, "Gaussian
///            Error Linear Units", 2016)
///
///   out = f(x);   d_x = d_out * f'(x)
///   f' of relu: 1 where out > 0, else 0;  sigmoid: out (1 - out);  tanh: (1 - out) (1 + out)
///   f' of gelu: Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi)
///
/// A NaN in x is one in out and, but for relu, in d_x; a NaN before relu gives no gradient, as in dense/linear.hpp.
/// At an infinity f and f' are their limits, so that gelu(-infinity) is -0. relu, tanh and gelu of -0 are -0.
/// d_out spreads by the product with f', where 0 times infinity is NaN; relu's gradient is 0 wherever out > 0 is not.
///
/// Accuracy over all floats, in units in the last place (ulp) of the exact result, plus 2^-126 (no normal number):
///   relu exact, sigmoid 3, tanh 3, gelu 7
/// and of the gradient, from the given out or x, plus 2^-123 max(1, |d_out|):
///   relu exact, sigmoid 3, tanh 4, gelu 5 ulp of |d_out| (Phi(x) + |x| e^(-x^2 / 2) / sqrt(2 pi)), whose terms cancel
///   near x = -0.75
/// On CUDA this takes the toolkit's word for the errors of expf and tanhf (at most 2 ulp).
///
/// Each element by itself: the same bits on any number of threads.

#include <cstdint>

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

enum class Activation : uint8_t { relu, sigmoid, tanh, gelu };

struct ActivationArgs {
  Activation kind = Activation::relu;
  MatrixView<const float> x;  // [rows, cols] f32
  MatrixView<float> out;      // [rows, cols] f32; may be x, may not overlap it otherwise
};

/// What a kind does not read may be empty; else it must have the shape of d_out.
struct ActivationBackwardArgs {
  Activation kind = Activation::relu;
  MatrixView<const float> x = {};    // [rows, cols] f32, of the forward pass: gelu alone reads it
  MatrixView<const float> out = {};  // [rows, cols] f32, of the forward pass: all but gelu read it
  MatrixView<const float> d_out;     // [rows, cols] f32
  MatrixView<float> d_x;  // [rows, cols] f32, overwritten; may be d_out, x or out, may not overlap them otherwise
};

/// Both throw UsageError for an unknown kind and for shapes that differ.
void activation(Context& context, const ActivationArgs& args);
void activation_backward(Context& context, const ActivationBackwardArgs& args);

/// In the flops, a function such as e^x or erf counts as one operation.
OpCost activation_cost(const ActivationArgs& args);
OpCost activation_backward_cost(const ActivationBackwardArgs& args);

SHEAF_BACKENDS(activation, ActivationArgs);
SHEAF_BACKENDS(activation_backward, ActivationBackwardArgs);

}  // namespace sheaf::dense
