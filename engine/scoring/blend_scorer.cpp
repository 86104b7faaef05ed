#include "engine/scoring/blend_scorer.hpp"

#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/dense/scaled_add.hpp"

namespace sheaf {
namespace {

/// out = sum over members of weight * what `of` writes for a member.
template <class Of>
void weighted_sum(Context& context, const std::vector<BlendScorer::Member>& members, MatrixView<float> out, Of&& of) {
  ScratchScope scratch(context);
  const MatrixView<float> own{scratch.take<float>(out.size()), out.rows, out.cols};
  float keep = 0.0f;
  for (const BlendScorer::Member& member : members) {
    of(*member.scorer, own);
    dense::scaled_add(context, {.keep = keep, .weight = member.weight, .x = own, .out = out});
    keep = 1.0f;
  }
}

}  // namespace

BlendScorer::BlendScorer(std::vector<Member> members) : members_(std::move(members)) {
  if (members_.empty()) throw UsageError("a blend needs at least one scorer", "give it members");
  for (const Member& member : members_) {
    if (member.scorer->n_users() != n_users() || member.scorer->n_items() != n_items()) {
      throw UsageError("the scorers of a blend are of different users or items", "train them on the same data");
    }
  }
}

void BlendScorer::all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const {
  weighted_sum(context, members_, out,
               [&](const Scorer& scorer, MatrixView<float> own) { scorer.all_scores(context, queries, first, own); });
}

void BlendScorer::scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
                         MatrixView<float> out) const {
  if (out.empty()) return;
  weighted_sum(context, members_, out,
               [&](const Scorer& scorer, MatrixView<float> own) { scorer.scores(context, queries, items, own); });
}

}  // namespace sheaf
