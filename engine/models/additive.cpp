// The additive model of the mission: P(u, i) = sigmoid(w1 . e_u + w2 . e_i + b). It has a term of the user and one of
// the item, and none of both.

#include <memory>

#include "engine/models/pair_model.hpp"
#include "engine/scoring/linear_scorer.hpp"

namespace sheaf {
namespace {

class Additive final : public PairModel {
 public:
  Additive() : PairModel(PairForm::sum, {LossKind::bpr, LossKind::bce}) {}
  std::string_view name() const override { return "additive"; }
  std::string_view about() const override { return "a user's term and an item's term added up"; }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts = linear_parts(context, tables());
    // People that the model never saw: their own term, the same for all items, is 0.
    parts.encode = [](Context& where, const LinearParts&, const Queries&, MatrixView<float> vectors) {
      where.fill_bytes(vectors.data, 0, static_cast<size_t>(vectors.size()) * sizeof(float));
    };
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }
};

}  // namespace

std::unique_ptr<Recommender> make_additive() { return std::make_unique<Additive>(); }

}  // namespace sheaf
