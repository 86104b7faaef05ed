#pragma once
/// A bundle problem in a context's memory, as the search kernels read it.

#include <cstdint>

#include "engine/optimize/problem.hpp"
#include "kernels/core/buffer.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf {

/// What becomes of a limit whose weights have more than 24 bits. `tightened`: weights are rounded up, the bound down,
/// so that each set that keeps it keeps the problem's. `loosened`: the other way round, so that no set is lost.
enum class LimitRounding { tightened, loosened };

/// All limits become upper limits in whole numbers of at most 24 bits, whose sums are exact; groups become conflicts.
class PackedProblem {
 public:
  PackedProblem(Context& context, const BundleProblem& problem, LimitRounding rounding = LimitRounding::tightened);

  const genetic::SearchProblems& view() const { return view_; }
  /// No weight and no term was rounded.
  bool is_exact() const { return is_exact_; }

 private:
  void set_limits(Context& context, const BundleProblem& problem, LimitRounding rounding);
  void set_flags(Context& context, const BundleProblem& problem);
  void set_categories(Context& context, const BundleProblem& problem);
  void set_conflicts(Context& context, const BundleProblem& problem);

  int64_t n_;
  bool is_exact_;
  genetic::SearchProblems view_;
  Buffer<float> linear_, pair_, weight_;
  Buffer<double> upper_;
  Buffer<uint8_t> flags_;
  Buffer<int32_t> category_, category_min_, category_max_;
  Buffer<uint32_t> conflict_;
};

}  // namespace sheaf
