#pragma once
/// Adam and AdamW by definition (Kingma and Ba, 2015; Loshchilov and Hutter, 2019), in double precision.

#include "kernels/core/adam.hpp"

namespace sheaf::ref {

/// One element: what it is, or how far float arithmetic may be from it.
struct AdamElement {
  double parameter = 0.0;
  double moment1 = 0.0;
  double moment2 = 0.0;
};

AdamElement adam(double grad, const AdamParams& params, const AdamElement& before);

/// How far a float step from the same `before` may be from adam(grad, ...), when its gradient was within `grad_error`
/// of `grad`. Each operation rounds once. Errors are carried to the end without assuming that they are small.
AdamElement adam_bound(double grad, double grad_error, const AdamParams& params, const AdamElement& before);

}  // namespace sheaf::ref
