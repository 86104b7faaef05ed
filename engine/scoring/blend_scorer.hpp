#pragma once
/// A weighted sum of the scores of others: score(q, i) = sum over members m of weight[m] * score_m(q, i).

#include "engine/scoring/scorer.hpp"

namespace sheaf {

class BlendScorer final : public Scorer {
 public:
  struct Member {
    std::shared_ptr<const Scorer> scorer;
    float weight = 1.0f;
  };
  /// UsageError without members, or where they are not of the same users and items.
  explicit BlendScorer(std::vector<Member> members);

  int64_t n_users() const override { return members_.front().scorer->n_users(); }
  int64_t n_items() const override { return members_.front().scorer->n_items(); }
  void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const override;
  void scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
              MatrixView<float> out) const override;

 private:
  std::vector<Member> members_;
};

}  // namespace sheaf
