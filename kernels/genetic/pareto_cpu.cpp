#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/genetic/pareto_sort.hpp"

namespace sheaf::genetic::cpu {
namespace {

void sort_slots(const ParetoState& state, int32_t n_objectives, int32_t population) {
  for (int32_t i = 0; i < state.n_slots; ++i) compare_slot(state, n_objectives, i);
  for (int32_t w = 0; w < state.n_words; ++w) open_word(state, w);
  const int32_t all = count_open(state);
  for (int32_t level = 0; count_open(state) > 0 && all - count_open(state) < population; ++level) {
    for (int32_t i = 0; i < state.n_slots; ++i) join_front(state, level, i);
    for (int32_t w = 0; w < state.n_words; ++w) open_word(state, w);
  }
  for (int32_t i = 0; i < state.n_slots; ++i) state.crowding[i] = crowding_of(state, n_objectives, i);
  for (int32_t i = 0; i < state.n_slots; ++i) place_slot(state, i);
}

void run_pareto(const ParetoArgs& args, int64_t p, const ParetoState& state) {
  const int32_t population = args.params.population;
  const ParetoView view = pareto_view(args, p);
  for (int32_t i = 0; i < state.n_slots; ++i) random_set(args, view, i, state.sets[i]);
  sort_slots(state, args.n_objectives, population);
  for (int32_t generation = 1; generation <= args.params.generations && !interrupt_requested(); ++generation) {
    for (int32_t c = 0; c < population; ++c) {
      make_child(args, view, static_cast<uint32_t>(generation), c, state.sets, state.order,
                 state.sets[state.order[population + c]]);
    }
    sort_slots(state, args.n_objectives, population);
  }
  int32_t front = 0;
  for (int32_t rank = 0; rank < population; ++rank) {
    args.sets(p, rank) = state.sets[state.order[rank]];
    front += state.level[state.order[rank]] == 0 ? 1 : 0;
  }
  args.front_size[p] = front;
}

}  // namespace

void pareto(Context& context, const ParetoArgs& args) {
  ScratchScope scratch(context);
  const int64_t bytes = pareto_bytes(args.params.population);
  auto* memory = scratch.take<unsigned char>(bytes * context.n_threads());
  parallel_for(context, args.rules.n_problems, 1, [&](int64_t begin, int64_t end, int thread) {
    const ParetoState state = pareto_state(memory + thread * bytes, args.params.population);
    for (int64_t p = begin; p < end; ++p) run_pareto(args, p, state);
  });
  check_interrupt("the search for the front");
}

}  // namespace sheaf::genetic::cpu
