#pragma once
/// Bundle problems by definition, in double precision, and their optimum by trying every set.

#include <cstdint>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::ref {

struct HostProblems {
  int64_t n_problems = 0;
  int64_t n_candidates = 0;
  int32_t min_size = 2;
  int32_t max_size = 4;
  int32_t min_categories = 0;
  std::vector<float> linear, pair, price;
  std::vector<int32_t> category;
  std::vector<uint8_t> flags;
  std::vector<float> budget;
};

/// Everything zero, no limits but the sizes.
HostProblems blank_problems(int64_t n_problems, int64_t n_candidates, int32_t min_size, int32_t max_size);

/// Whole-number gains, a symmetric pair matrix, prices 1 .. 20, budgets that bind, a few must-haves and forbidden ones.
HostProblems random_problems(int64_t n_problems, int64_t n_candidates, int32_t min_size, int32_t max_size,
                             int32_t min_categories, uint32_t seed);

/// One problem alone.
HostProblems pick(const HostProblems& problems, int64_t p);

class DeviceProblems {
 public:
  DeviceProblems(Context& context, const HostProblems& host);
  genetic::Problems view() const;

 private:
  const HostProblems* host_;
  Buffer<float> linear_, pair_, price_;
  Buffer<int32_t> category_;
  Buffer<uint8_t> flags_;
  Buffer<float> budget_;
};

/// What genetic::bundle_terms reads. Either vectors [n_items, dim] or, with dim 0, a dense association [n_items, n_items].
struct BundleInput {
  int64_t n_candidates = 0;
  std::vector<int32_t> candidates;  // [n_problems, n_candidates]
  std::vector<float> probability;   // as candidates
  int64_t dim = 0;
  std::vector<float> vectors, association;
  std::vector<float> item_price;
  double scale = 1.0, weight_association = 1.0, weight_preference = 0.0, weight_revenue = 0.0;
};

/// Values, and beside each how far float arithmetic may be from it.
struct BundleTerms {
  std::vector<double> linear, linear_bound;  // [n_problems, C]
  std::vector<double> pair, pair_bound;      // [n_problems, C, C]
};
BundleTerms bundle_terms(const BundleInput& input);

struct Evaluation {
  double value = 0.0;
  double violation = 0.0;
};
Evaluation evaluate(const HostProblems& problems, int64_t p, const std::vector<int32_t>& set);

/// The best of all sets of at most max_size candidates: feasible before infeasible, then value or violation.
Evaluation optimum(const HostProblems& problems, int64_t p);

}  // namespace sheaf::ref
