// Factorization: logit(u, i) = e_u . e_i + b_u + b_i + b (Koren et al., "Matrix factorization techniques for
// recommender systems", 2009). It learns by a softmax over the whole catalog or by pairs (BPR, BCE).

#include <memory>

#include "engine/models/fold_in.hpp"
#include "engine/models/pair_model.hpp"
#include "engine/scoring/linear_scorer.hpp"

namespace sheaf {
namespace {

class Factorization final : public PairModel {
 public:
  Factorization() : PairModel(PairForm::dot, {LossKind::softmax, LossKind::bpr, LossKind::bce}) {}
  std::string_view name() const override { return "factorization"; }
  std::string_view about() const override { return "a dot product of learned vectors and biases"; }

  std::vector<SettingGroup> settings() override {
    std::vector<SettingGroup> groups = PairModel::settings();
    groups.push_back(attributes_.describe());
    return groups;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts = linear_parts(context, tables());
    parts.encode = fold_in;
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }
};

}  // namespace

std::unique_ptr<Recommender> make_factorization() { return std::make_unique<Factorization>(); }

}  // namespace sheaf
