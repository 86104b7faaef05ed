#pragma once
/// Recurrent layers over packed sequences by definition, in double precision, with bounds of what float arithmetic may
/// differ by.

#include <cstdint>
#include <vector>

#include "tests/reference/layers.hpp"

namespace sheaf::ref {

struct RecurrentProblem {
  bool lstm = false;
  int64_t dim = 0;
  std::vector<int64_t> offsets;
  std::vector<double> weight, bias;  // [gates dim, dim], [dim] (empty of an lstm)
};

struct RecurrentStates {
  Bounded kept, out;  // [n, kept dim], [n, dim]
};
/// From x [n, gates dim]. The bound of a row follows from that of the row before.
RecurrentStates recurrent(const RecurrentProblem& problem, const std::vector<double>& x);

struct RecurrentGradients {
  Bounded x, weight, bias;
};
/// Of the sum of d_out * out, from given kept [n, kept dim] and out [n, dim], which may be rounded.
RecurrentGradients recurrent_backward(const RecurrentProblem& problem, const std::vector<double>& kept,
                                      const std::vector<double>& out, const std::vector<double>& d_out);

}  // namespace sheaf::ref
