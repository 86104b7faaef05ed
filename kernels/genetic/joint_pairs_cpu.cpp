#include <algorithm>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/genetic/joint_pairs_pair.hpp"

namespace sheaf::genetic::cpu {
namespace {

constexpr int64_t kLongRow = 64;  // entries a pair: above, searches touch less memory than a walk

// Place of each item among the candidates before the one at hand; kNowhere for all others.
using PlaceOf = std::vector<int16_t>;
constexpr int16_t kNowhere = -1;

// For each place before a: its place in `matrix` in a's row, -1 where there is none. A walk along the row reads memory
// in order.
void find_in_row(const CsrView& matrix, const int32_t* items, int64_t a, const PlaceOf& place_of, int64_t* found) {
  const int32_t row = items[a];
  if (matrix.row_size(row) > kLongRow * a) {
    for (int64_t b = 0; b < a; ++b) found[b] = items[b] < 0 ? -1 : symmetric_place(matrix, row, items[b]);
    return;
  }
  std::fill_n(found, a, -1);
  for (int64_t e = matrix.row_offsets[row]; e < matrix.row_offsets[row + 1]; ++e) {
    const int16_t b = place_of[static_cast<size_t>(matrix.columns[e])];
    if (b != kNowhere) found[b] = e;
  }
}

// Cosines of place a and each of those before it. Inlined, g++ 12 does not vectorize the inner product.
[[gnu::noinline]] void row_cosines(const MatrixView<const float>& vectors, const int32_t* items, int64_t a,
                                   const float* inverse, float* cosines) {
  const float* vector = vectors.row(items[a]);
  for (int64_t b = 0; b < a; ++b) {
    cosines[b] = 0.0f;
    if (inverse[a] == 0.0f || inverse[b] == 0.0f) continue;
    cosines[b] = positive_cosine(dot(vector, vectors.row(items[b]), vectors.cols), inverse[a], inverse[b]);
  }
}

// Adds the terms of place a, which has an item, and the places before it.
void add_row(const JointPairsArgs& args, int64_t p, int64_t a, const PlaceOf& place_of, const float* inverse,
             float lift) {
  const int64_t c = args.candidates.cols;
  const int32_t* items = args.candidates.row(p);
  int64_t counted[kMaxCandidates], substitutes[kMaxCandidates];
  if (args.counts.nnz > 0) find_in_row(args.counts, items, a, place_of, counted);
  if (reads_substitutes(args)) find_in_row(args.substitutes, items, a, place_of, substitutes);
  float cosines[kMaxCandidates];
  if (reads_vectors(args)) row_cosines(args.vectors, items, a, inverse, cosines);
  float* pair = args.pair.data + p * c * c;
  for (int64_t b = 0; b < a; ++b) {
    if (items[b] < 0) continue;
    PairFacts facts;
    if (args.counts.nnz > 0 && counted[b] >= 0) facts.count = args.counts.values[counted[b]];
    if (reads_vectors(args)) facts.cosine = cosines[b];
    facts.is_substitute = reads_substitutes(args) && substitutes[b] >= 0;
    const float term = joint_term(args, p, a, b, facts, lift);
    pair[a * c + b] += term;
    pair[b * c + a] += term;
  }
}

}  // namespace

void joint_pairs(Context& context, const JointPairsArgs& args) {
  const int64_t c = args.candidates.cols;
  const float lift = expf(args.offset);
  std::vector<PlaceOf> places(static_cast<size_t>(context.n_threads()),
                              PlaceOf(static_cast<size_t>(args.frequency.size), kNowhere));
  parallel_for(context, args.candidates.rows, 1, [&](int64_t begin, int64_t end, int thread) {
    PlaceOf& place_of = places[static_cast<size_t>(thread)];
    float inverse[kMaxCandidates];
    for (int64_t p = begin; p < end; ++p) {
      const int32_t* items = args.candidates.row(p);
      for (int64_t a = 0; a < c; ++a) {
        const bool has_vector = items[a] >= 0 && reads_vectors(args);
        inverse[a] = has_vector ? inverse_length(args.vectors.row(items[a]), args.vectors.cols) : 0.0f;
        if (items[a] < 0) continue;
        add_row(args, p, a, place_of, inverse, lift);
        place_of[static_cast<size_t>(items[a])] = static_cast<int16_t>(a);
      }
      for (int64_t a = 0; a < c; ++a) {
        if (items[a] >= 0) place_of[static_cast<size_t>(items[a])] = kNowhere;
      }
    }
  });
}

}  // namespace sheaf::genetic::cpu
