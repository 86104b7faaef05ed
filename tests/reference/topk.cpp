#include "tests/reference/topk.hpp"

#include <cmath>
#include <set>

namespace sheaf::ref {
namespace {

bool before(double score_a, int64_t id_a, double score_b, int64_t id_b) {
  if (std::isnan(score_a) != std::isnan(score_b)) return std::isnan(score_b);
  if (!std::isnan(score_a) && score_a != score_b) return score_a > score_b;
  return id_a < id_b;
}

}  // namespace

std::string top_k_fault(const std::vector<Candidate>& candidates, const int32_t* ids, const float* scores, int64_t k,
                        float filler) {
  std::set<int32_t> listed;
  int64_t n_listed = 0;
  while (n_listed < k && ids[n_listed] != -1) ++n_listed;
  for (int64_t place = n_listed; place < k; ++place) {
    if (ids[place] != -1) return "an id after the first -1";
    if (scores[place] != filler) return "an unused place holds " + std::to_string(scores[place]);
  }
  for (int64_t place = 0; place < n_listed; ++place) {
    const int32_t id = ids[place];
    const std::string at = " at place " + std::to_string(place) + ", id " + std::to_string(id);
    if (id < 0 || id >= static_cast<int64_t>(candidates.size())) return "unknown id" + at;
    if (!listed.insert(id).second) return "listed twice" + at;
    const Candidate& candidate = candidates[static_cast<size_t>(id)];
    if (!candidate.may) return "must not be listed" + at;
    const double score = scores[place];
    if (std::isnan(score) != std::isnan(candidate.score)) return "NaN on one side only" + at;
    if (score != candidate.score && std::abs(score - candidate.score) > candidate.bound) {
      return "score " + std::to_string(score) + " for " + std::to_string(candidate.score) + at;
    }
    if (place > 0 && !before(scores[place - 1], ids[place - 1], score, id)) return "out of order" + at;
  }
  for (size_t id = 0; id < candidates.size(); ++id) {
    const Candidate& candidate = candidates[id];
    if (!candidate.must || listed.count(static_cast<int32_t>(id))) continue;
    if (n_listed < k) return "left out although there is room: id " + std::to_string(id);
    const double least = candidate.score - candidate.bound;
    if (before(least, static_cast<int64_t>(id), scores[k - 1], ids[k - 1])) {
      return "left out: id " + std::to_string(id) + ", score " + std::to_string(candidate.score);
    }
  }
  return {};
}

double sum_bound(int64_t n, double magnitude) {
  const double u = 0x1.0p-24;
  const double steps = static_cast<double>(n + 1);
  return steps * u / (1.0 - steps * u) * magnitude;
}

Dot dot(const float* a, const float* b, int64_t dim) {
  Dot sum{0.0, 0.0};
  for (int64_t d = 0; d < dim; ++d) {
    const double product = static_cast<double>(a[d]) * b[d];
    sum.value += product;
    sum.magnitude += std::abs(product);
  }
  return sum;
}

}  // namespace sheaf::ref
