#pragma once
/// One number of a model without gradients, chosen on the validation period.

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/models/recommender.hpp"

namespace sheaf {

/// The number and where its value comes from. What the user set comes first, then what an earlier fit chose, then the
/// best of `tries` by the NDCG of the validation period. If there is nothing to judge by, it is the usual value.
struct Choice {
  std::string section, key;  // "ease", "l2"
  double given = 0.0;        // the setting; 0: to be chosen
  double usual = 0.0;        // one of `tries`
  std::span<const double> tries;
};

/// Learns with each value in turn. `learn(value)` gives the scorer of what it learned. `keep()` is called when that is
/// the best so far. The report has one entry for each try, and in `chosen` the value that is kept. Throws Interrupted
/// between tries.
FitReport choose_on_validation(Context& context, const TrainData& data, const FitOptions& options, const Choice& choice,
                               const std::function<std::unique_ptr<Scorer>(double)>& learn,
                               const std::function<void()>& keep);

}  // namespace sheaf
