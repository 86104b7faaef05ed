#include <algorithm>
#include <vector>

#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/genetic/report_best.hpp"

namespace sheaf::genetic::cpu {
namespace {

constexpr int64_t kProblemsPerCheck = 64;  // between looks at the interrupt flag

struct Island {
  std::vector<Individual> sorted;  // [population], best first
  std::vector<Individual> next;    // [population]
};

void sort_into(std::vector<Individual>& sorted, const std::vector<Individual>& unsorted) {
  sorted = unsorted;
  std::sort(sorted.begin(), sorted.end(), [](const Individual& a, const Individual& b) { return ranks_before(a, b); });
}

void evolve_problem(const EvolveArgs& args, int64_t p, Island& island) {
  const EvolveParams& params = args.params;
  const int64_t id = args.problem_ids[p];
  uint8_t allowed[kMaxCandidates];
  ProblemView problem = problem_view(args.problems, p);
  problem.n_allowed = list_allowed(problem, allowed);
  problem.allowed = allowed;

  const auto slot = [](std::vector<Individual>& sets, int32_t i) -> Individual& {
    return sets[static_cast<size_t>(i)];
  };
  for (int32_t i = 0; i < params.population; ++i) initialise(problem, params.seed, id, i, slot(island.next, i));
  sort_into(island.sorted, island.next);
  for (int32_t generation = 0; generation < params.generations; ++generation) {
    for (int32_t i = 0; i < params.population; ++i) {
      if (i < params.elite) {
        slot(island.next, i) = slot(island.sorted, i);
      } else {
        breed(problem, params, id, generation, i, island.sorted.data(), slot(island.next, i));
      }
    }
    sort_into(island.sorted, island.next);
    write_history(args, p, generation, island.sorted.front());
  }
  improve(problem, island.sorted.front());
  write_best(args, p, island.sorted.front());
}

}  // namespace

void evolve(Context& context, const EvolveArgs& args) {
  const auto population = static_cast<size_t>(args.params.population);
  std::vector<Island> islands(static_cast<size_t>(context.n_threads()));
  for (Island& island : islands) island.next.resize(population);
  for (int64_t first = 0; first < args.problems.n_problems; first += kProblemsPerCheck) {
    check_interrupt("the bundle search");
    const int64_t count = std::min(kProblemsPerCheck, args.problems.n_problems - first);
    parallel_for(context, count, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t p = first + begin; p < first + end; ++p)
        evolve_problem(args, p, islands[static_cast<size_t>(thread)]);
    });
  }
}

}  // namespace sheaf::genetic::cpu
