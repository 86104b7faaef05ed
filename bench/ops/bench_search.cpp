#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <numeric>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/core/error.hpp"
#include "kernels/genetic/evaluate_sets.hpp"
#include "kernels/genetic/pareto.hpp"
#include "kernels/genetic/search.hpp"
#include "tests/reference/pareto.hpp"
#include "tests/reference/search.hpp"

namespace sheaf::bench {
namespace {

ref::SearchCases cases_of(const Shape& s) {
  return ref::plain_search_cases(s["n_problems"], static_cast<int32_t>(s["candidates"]), 1, 2,
                                 static_cast<int32_t>(s["max_size"]), 100);
}

std::string score_fault(const ref::SearchCases& host, int64_t p, const std::vector<int32_t>& set, int64_t place,
                        double value, double violation) {
  const ref::SearchScore expected = ref::score(host, p, set);
  return first_of({difference("value", place, value, expected.value, 0.0),
                   difference("violation", place, violation, expected.violation, expected.violation * 0x1.0p-23)});
}

/// Values and violations of random sets of the largest size: full evaluations.
class EvaluateSets final : public Case {
 public:
  EvaluateSets(Context& context, const Shape& s)
      : context_(context),
        host_(cases_of(s)),
        n_sets_(s["n_sets"]),
        width_(s["max_size"]),
        host_sets_(random_sets(s)),
        problems_(context, host_),
        sets_(context, host_sets_),
        value_(poisoned<float>(context, host_.n_problems * n_sets_)),
        violation_(poisoned<float>(context, host_.n_problems * n_sets_)),
        args_{.problems = problems_.view(),
              .n_sets = n_sets_,
              .sets = sets_.matrix(host_.n_problems * n_sets_, width_),
              .value = value_.view(),
              .violation = violation_.view()} {}

  void run() override { genetic::evaluate_sets(context_, args_); }

  std::string fault() override {
    const std::vector<float> value = value_.to_host(), violation = violation_.to_host();
    for (const int64_t place : spread(value_.size(), 2000)) {
      const auto at = static_cast<size_t>(place);
      const std::vector<int32_t> set(host_sets_.begin() + place * width_, host_sets_.begin() + (place + 1) * width_);
      const std::string fault = score_fault(host_, place / n_sets_, set, place, value[at], violation[at]);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return genetic::evaluate_sets_cost(args_); }

 private:
  static std::vector<int32_t> random_sets(const Shape& s) {
    std::mt19937 engine(101);
    const auto max_size = static_cast<size_t>(s["max_size"]);
    std::vector<int32_t> all(static_cast<size_t>(s["candidates"])), sets;
    std::iota(all.begin(), all.end(), 0);
    for (int64_t set = 0; set < s["n_problems"] * s["n_sets"]; ++set) {
      for (size_t i = 0; i < max_size; ++i) {
        std::swap(all[i], all[std::uniform_int_distribution<size_t>(i, all.size() - 1)(engine)]);
        sets.push_back(all[i]);
      }
    }
    return sets;
  }

  Context& context_;
  ref::SearchCases host_;
  int64_t n_sets_, width_;
  std::vector<int32_t> host_sets_;
  ref::DeviceSearchCases problems_;
  Buffer<int32_t> sets_;
  Buffer<float> value_, violation_;
  genetic::EvaluateSetsArgs args_;
};

/// The search for the best sets. Its flops are the moves judged, one each: GFLOP/s read as G swap evaluations/s.
class Search : public Case {
 public:
  Search(Context& context, const Shape& s) : Search(context, s, cases_of(s), 1) {}

  void run() override { genetic::search(context_, args_); }

  // What it reports is true; how good it is, is a test's matter.
  std::string fault() override {
    const std::vector<genetic::SearchSet> sets = pool_.to_host();
    for (int64_t p = 0; p < n_; ++p) {
      const genetic::SearchSet& best = sets[static_cast<size_t>(p * args_.params.local_searches)];
      const std::string fault = score_fault(host_, p, ref::ids_of(best), p, static_cast<double>(best.value),
                                            static_cast<double>(best.violation));
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return {.bytes = genetic::search_cost(args_).bytes, .flops = moves_}; }

  void export_arrays(const ArrayFolder& folder) const override {
    const auto width = static_cast<int64_t>(host_.n_candidates);
    folder.write("linear", host_.linear, {n_, width});
    folder.write("pair", host_.pair, {n_, width, width});
    folder.write("weight", host_.weight, {n_, width});
    folder.write("upper", std::vector<float>(host_.upper.begin(), host_.upper.end()), {n_});
    std::vector<float> value;
    for (const genetic::SearchSet& set : pool_.to_host()) value.push_back(set.violation > 0.0f ? -1.0f : set.value);
    folder.write("value", value, {n_, args_.params.local_searches});
  }

 protected:
  Search(Context& context, const Shape& s, ref::SearchCases host, int64_t islands)
      : context_(context),
        host_(std::move(host)),
        n_(host_.n_problems),
        problems_(context, host_),
        ids_(context, numbered(n_)),
        pool_(context, n_ * s["local_searches"]),
        evaluations_(Buffer<int64_t>::zeros(context, n_)),
        args_{.problems = problems_.view(),
              .params = {.local_searches = static_cast<int32_t>(s["local_searches"]),
                         .rounds = static_cast<int32_t>(s["rounds"]),
                         .iterations = static_cast<int32_t>(s["iterations"]),
                         .islands = static_cast<int32_t>(islands)},
              .problem_ids = ids_.view(),
              .pool = pool_.matrix(n_, s["local_searches"]),
              .evaluations = evaluations_.view(),
              .history = {}} {
    genetic::search(context_, args_);
    const std::vector<int64_t> moves = evaluations_.to_host();
    moves_ = std::accumulate(moves.begin(), moves.end(), int64_t{0});
  }

 private:
  static std::vector<int64_t> numbered(int64_t n) {
    std::vector<int64_t> ids(static_cast<size_t>(n));
    std::iota(ids.begin(), ids.end(), int64_t{0});
    return ids;
  }

  Context& context_;
  ref::SearchCases host_;
  int64_t n_;
  ref::DeviceSearchCases problems_;
  Buffer<int64_t> ids_;
  Buffer<genetic::SearchSet> pool_;
  Buffer<int64_t> evaluations_;
  genetic::SearchArgs args_;
  int64_t moves_ = 0;
};

/// Likewise, with islands: one problem for a whole device.
class Islands final : public Search {
 public:
  Islands(Context& context, const Shape& s) : Search(context, s, cases_of(s), s["islands"]) {}
};

/// Fronts of three objectives. Its flops are the comparisons that sort them.
class Pareto final : public Case {
 public:
  Pareto(Context& context, const Shape& s)
      : context_(context),
        host_(ref::pareto_cases(cases_of(s), 3, 110)),
        problems_(context, host_),
        population_(s["population"]),
        ids_(context, std::vector<int64_t>(static_cast<size_t>(s["n_problems"]), 7)),
        sets_(context, s["n_problems"] * population_),
        front_size_(context, s["n_problems"]),
        args_(problems_.args()) {
    args_.params = {.population = static_cast<int32_t>(population_),
                    .generations = static_cast<int32_t>(s["generations"])};
    args_.problem_ids = ids_.view();
    args_.sets = sets_.matrix(s["n_problems"], population_);
    args_.front_size = front_size_.view();
  }

  void run() override { genetic::pareto(context_, args_); }

  // What it reports is true; how good it is, is a test's matter.
  std::string fault() override {
    const std::vector<genetic::ParetoSet> sets = sets_.to_host();
    for (const int64_t place : spread(sets.size(), 2000)) {
      const genetic::ParetoSet& set = sets[static_cast<size_t>(place)];
      const ref::Point expected = ref::objectives(host_, place / population_, ref::ids_of(set));
      for (size_t m = 0; m < expected.size(); ++m) {
        const std::string fault = difference("objective", place, set.objective[m], expected[m], 0.0);
        if (!fault.empty()) return fault;
      }
    }
    return {};
  }

  OpCost cost() const override { return genetic::pareto_cost(args_); }

 private:
  Context& context_;
  ref::ParetoCases host_;
  ref::DeviceParetoCases problems_;
  int64_t population_;
  Buffer<int64_t> ids_;
  Buffer<genetic::ParetoSet> sets_;
  Buffer<int32_t> front_size_;
  genetic::ParetoArgs args_;
};

struct QkpFile {
  ref::SearchCases problem;
  double best_known = 0.0;
};

std::string qkp_folder() {
  const char* data = std::getenv("SHEAF_DATA");
  return data == nullptr ? std::string() : std::string(data) + "/qkp";
}

std::string qkp_path(int64_t n, int64_t density, int64_t instance) {
  const std::string folder = n == 100 ? "100" : std::to_string(n) + "_" + std::to_string(density);
  return qkp_folder() + "/" + folder + "/jeu_" + std::to_string(n) + "_" + std::to_string(density) + "_" +
         std::to_string(instance) + ".txt";
}

/// Quadratic knapsacks from a file: n, n linear terms, the upper triangle, the capacity, n weights.
ref::SearchCases read_qkp(const std::string& path) {
  std::ifstream file(path);
  int64_t n = 0;
  file >> n;
  ref::SearchCases host{
      .n_problems = 1, .n_candidates = static_cast<int32_t>(n), .n_limits = 1, .max_size = static_cast<int32_t>(n)};
  host.linear.resize(static_cast<size_t>(n));
  host.weight.resize(static_cast<size_t>(n));
  host.pair.resize(static_cast<size_t>(n * n));
  host.upper.resize(1);
  for (float& x : host.linear) file >> x;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      float x = 0.0f;
      file >> x;
      host.pair[static_cast<size_t>(i * n + j)] = host.pair[static_cast<size_t>(j * n + i)] = x;
    }
  }
  file >> host.upper[0];
  for (float& x : host.weight) file >> x;
  if (!file) throw DataError("cannot read the knapsack " + path);
  return host;
}

/// Rounds until the best known value is met: the time to it. One setting for all instances.
class Knapsack final : public Case {
 public:
  Knapsack(Context& context, const Shape& s)
      : context_(context),
        host_(read_qkp(qkp_path(s["n"], s["density"], s["instance"]))),
        best_known_(static_cast<double>(s["best_known"])),
        problems_(context, host_),
        ids_(context, std::vector<int64_t>{0}),
        pool_(context, kSearches),
        evaluations_(Buffer<int64_t>::zeros(context, 1)) {}

  void run() override {
    genetic::SearchParams params{.local_searches = kSearches, .rounds = 1, .iterations = 132};
    for (; params.first_round < kMaxRounds; ++params.first_round) {
      genetic::search(context_, {.problems = problems_.view(),
                                 .params = params,
                                 .problem_ids = ids_.view(),
                                 .pool = pool_.matrix(1, kSearches),
                                 .evaluations = evaluations_.view(),
                                 .history = {}});
      const genetic::SearchSet best = pool_.to_host().front();
      if (!(best.violation > 0.0f) && static_cast<double>(best.value) >= best_known_) return;
    }
  }

  std::string fault() override {
    const genetic::SearchSet best = pool_.to_host().front();
    return first_of({score_fault(host_, 0, ref::ids_of(best), 0, static_cast<double>(best.value),
                                 static_cast<double>(best.violation)),
                     difference("best value", 0, static_cast<double>(best.value), best_known_, 0.0)});
  }

  OpCost cost() const override {
    const int64_t n = host_.n_candidates;
    return {.bytes = genetic::problem_bytes(problems_.view()), .flops = n * n};
  }

 private:
  static constexpr int32_t kSearches = 16, kMaxRounds = 200;
  Context& context_;
  ref::SearchCases host_;
  double best_known_;
  ref::DeviceSearchCases problems_;
  Buffer<int64_t> ids_;
  Buffer<genetic::SearchSet> pool_;
  Buffer<int64_t> evaluations_;
};

/// Those instances of best_known.txt whose file is there.
std::vector<Shape> qkp_shapes() {
  std::vector<Shape> shapes;
  if (qkp_folder().empty()) return shapes;
  std::ifstream list(qkp_folder() + "/best_known.txt");
  std::string heading;
  std::getline(list, heading);
  for (int64_t n, density, instance, best; list >> n >> density >> instance >> best;) {
    if (!std::ifstream(qkp_path(n, density, instance))) continue;
    shapes.push_back({{"n", n}, {"density", density}, {"instance", instance}, {"best_known", best}});
  }
  return shapes;
}

}  // namespace

void add_search(Suite& suite) {
  suite.add<EvaluateSets>("genetic", "evaluate_sets",
                          {{{"n_problems", 16}, {"candidates", 128}, {"max_size", 8}, {"n_sets", 16384}}},
                          {{{"n_problems", 1024}, {"candidates", 128}, {"max_size", 8}, {"n_sets", 65536}}});
  const auto shape = [](int64_t n_problems, int64_t candidates, int64_t max_size, int64_t local_searches,
                        int64_t rounds, int64_t iterations) -> Shape {
    return {{"n_problems", n_problems},         {"candidates", candidates}, {"max_size", max_size},
            {"local_searches", local_searches}, {"rounds", rounds},         {"iterations", iterations}};
  };
  suite.add<Search>("genetic", "search",
                    {shape(1000, 64, 4, 4, 2, 8), shape(200, 64, 4, 8, 4, 16), shape(8, 128, 8, 16, 4, 64)},
                    {shape(100'000, 64, 4, 4, 2, 8), shape(20'000, 64, 4, 8, 4, 16), shape(2048, 128, 8, 16, 8, 128)});
  const auto islands = [](int64_t n, int64_t candidates, int64_t max_size) -> Shape {
    return {{"n_problems", 1}, {"candidates", candidates}, {"max_size", max_size}, {"local_searches", 16},
            {"rounds", 4},     {"iterations", 64},         {"islands", n}};
  };
  suite.add<Islands>("genetic", "search_islands", {islands(1, 128, 8), islands(8, 128, 8)},
                     {islands(1, 128, 8), islands(132, 128, 8), islands(1056, 128, 8), islands(4224, 128, 8)});
  const auto fronts = [](int64_t n_problems, int64_t candidates, int64_t population, int64_t generations) -> Shape {
    return {{"n_problems", n_problems},
            {"candidates", candidates},
            {"max_size", 4},
            {"population", population},
            {"generations", generations}};
  };
  suite.add<Pareto>("genetic", "pareto", {fronts(16, 64, 64, 50), fronts(4, 64, 128, 100)},
                    {fronts(1024, 64, 64, 50), fronts(264, 64, 128, 100)});
  const std::vector<Shape> knapsacks = qkp_shapes();
  suite.add<Knapsack>("genetic", "knapsack", knapsacks, knapsacks);
}

}  // namespace sheaf::bench
