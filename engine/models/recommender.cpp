#include "engine/models/recommender.hpp"

namespace sheaf {

std::unique_ptr<Scorer> calibrated_scorer(Context& context, const Recommender& model) {
  std::unique_ptr<Scorer> scorer = model.scorer(context);
  scorer->calibration = model.calibration;
  return scorer;
}

}  // namespace sheaf
