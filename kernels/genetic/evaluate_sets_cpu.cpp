#include "kernels/core/parallel.hpp"
#include "kernels/genetic/evaluate_one_set.hpp"

namespace sheaf::genetic::cpu {

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  parallel_for(context, args.problems.n_problems, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const ProblemView problem = problem_view(args.problems, p);
      for (int64_t set = 0; set < args.n_sets; ++set) evaluate_one_set(args, problem, p * args.n_sets + set);
    }
  });
}

}  // namespace sheaf::genetic::cpu
