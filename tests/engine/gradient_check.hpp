#pragma once
/// Values and gradients of a part of a network against its definition in double precision.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/train/pair_loss.hpp"

namespace sheaf::test {

using Numbers = std::vector<double>;
using Named = std::map<std::string, Numbers>;

/// What a run gave: the outputs and, by name, the gradients of sum(d_out * out).
struct Outcome {
  Numbers out;
  Named gradients;
};

/// Something with named inputs that can be run forward and backward on the device.
struct Case {
  Named inputs;  // floats, held as doubles
  std::function<Outcome(const Numbers& d_out)> run;
  std::function<Numbers(const Named&)> definition;
  double tolerance =
      2e-5;  // of values and gradients, relative to the largest of them: float through some dozen roundings
};

/// Values by the definition; gradients of every input that the run returns by central differences of it.
void check(const Case& what);

/// Weighted sums of rows [n, dim], by the definition of a bag.
Numbers sums_of(const sheaf::HostCsr& bags, const Numbers& rows, int64_t dim);

/// Vectors that score users against items: users [n_users, dim], items [n_items, dim], item_bias [n_items].
struct Scored {
  Numbers users, items, item_bias;
  int64_t dim = 0;

  double logit(int64_t user, int64_t item) const;
};

/// The softmax cross-entropy of `targets` [n_users, n_items] with values over all items, divided by the users.
double softmax_loss(const Scored& scored, const sheaf::HostCsr& targets);

/// The pairs that pair_loss draws, by sample::batch.
struct DrawnPairs {
  int64_t group = 0;
  std::vector<int32_t> users;  // [n]
  std::vector<int32_t> items;  // [n, group]
  std::vector<float> weights;  // [n] or empty
};
DrawnPairs drawn_pairs(Context& context, const Positives& positives, const TrainParams& params, const PairDraw& draw);

/// Mean loss of the pairs by BPR or BCE.
double pair_loss(const Scored& scored, const DrawnPairs& pairs, const TrainParams& params);

}  // namespace sheaf::test
