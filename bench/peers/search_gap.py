#!/usr/bin/env python3
"""The bundle search beside genetic algorithms of other systems on the same problems: evaluations a second, and how far from the best each ends.

    scripts/setup_peers.sh
    .venv-peers/bin/python bench/peers/search_gap.py --sheaf build/cpu/bin/sheaf_bench --markdown search_gap.md

Sheaf searches the problems with sheaf_bench, before and after the others; every other system then has --seconds for
each problem. All are given the same objective: the value of a set of at most 8 of 128 candidates, less a penalty for
what it is over its limit or its size.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time
import warnings

# One thread each: at these sizes a second one makes both slower.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
import numpy  # noqa: E402

SEARCH = "search/n_problems:8/candidates:128/max_size:8/"
FULL = "evaluate_sets/n_problems:16/candidates:128/max_size:8/"
MIN_SIZE, MAX_SIZE = 2, 8
PENALTY = 1000.0  # of one item too many, and of a tenth of the limit


class Problem:
    def __init__(self, arrays: dict, p: int):
        self.linear, self.pair, self.weight, self.upper = (arrays[name][p] for name in ("linear", "pair", "weight", "upper"))
        self.pair = self.pair.copy()
        numpy.fill_diagonal(self.pair, 0.0)
        self.n = len(self.linear)
        self.rows, self.gains, self.weights = self.pair.tolist(), self.linear.tolist(), self.weight.tolist()
        self.best, self.evaluations = -numpy.inf, 0

    def note(self, value: float) -> None:
        self.best = max(self.best, value)

    def fitness(self, items) -> float:
        """Of a list of different candidates, in plain Python: for eight of them faster than NumPy."""
        self.evaluations += 1
        value, load = 0.0, 0.0
        for a, i in enumerate(items):
            row = self.rows[i]
            value += self.gains[i]
            load += self.weights[i]
            for j in items[:a]:
                value += row[j]
        wrong = max(0, len(items) - MAX_SIZE) + max(0, MIN_SIZE - len(items)) + max(0.0, load - self.upper) / (0.1 * self.upper)
        if wrong == 0:
            self.note(value)
        return value - PENALTY * wrong


def deap_ga(problem: Problem, seconds: float) -> None:
    from deap import base, creator, tools

    if not hasattr(creator, "Best"):
        creator.create("Best", base.Fitness, weights=(1.0,))
        creator.create("Items", list, fitness=creator.Best)
    box = base.Toolbox()
    box.register("select", tools.selTournament, tournsize=3)

    def cross(a, b):
        union = list(set(a) | set(b))
        return creator.Items(random.sample(union, min(len(a), len(union))))

    def mutate(items):
        outside = [j for j in range(problem.n) if j not in items]
        items[random.randrange(len(items))] = random.choice(outside)

    population = [creator.Items(random.sample(range(problem.n), random.randint(MIN_SIZE, MAX_SIZE))) for _ in range(100)]
    for items in population:
        items.fitness.values = (problem.fitness(items),)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        elite = tools.selBest(population, 4)
        children = []
        for a, b in zip(box.select(population, 96), box.select(population, 96)):
            child = cross(a, b)
            if random.random() < 0.3:
                mutate(child)
            child.fitness.values = (problem.fitness(child),)
            children.append(child)
        population = elite + children


def pygad_ga(problem: Problem, seconds: float) -> None:
    import pygad

    end = time.perf_counter() + seconds
    search = pygad.GA(num_generations=10**9, sol_per_pop=100, num_parents_mating=30, num_genes=MAX_SIZE, gene_type=int,
                      gene_space=list(range(problem.n)), allow_duplicate_genes=False, keep_elitism=4, mutation_num_genes=1,
                      parent_selection_type="tournament", crossover_type="uniform", suppress_warnings=True,
                      fitness_func=lambda ga, items, place: problem.fitness([int(i) for i in items]),
                      on_generation=lambda ga: "stop" if time.perf_counter() >= end else None)
    search.run()


def vector_ga(problem: Problem, seconds: float, lib: str) -> None:
    """Masks of a whole population at a time; one matrix product evaluates it."""
    population, elite = 1024, 16
    if lib == "torch":
        import torch

        make = lambda a: torch.from_numpy(numpy.ascontiguousarray(a))  # noqa: E731
        uniform, integers = lambda *s: torch.rand(s), lambda high, *s: torch.randint(high, s)  # noqa: E731
        where, relu, argsort, arange = torch.where, torch.relu, lambda x: torch.argsort(x, descending=True), torch.arange
        choose_best = lambda f, ids: ids.gather(1, f[ids].argmax(1, keepdim=True))[:, 0]  # noqa: E731
        cat = torch.cat
    else:
        generator = numpy.random.default_rng(0)
        make = numpy.ascontiguousarray
        uniform, integers = lambda *s: generator.random(s, numpy.float32), lambda high, *s: generator.integers(0, high, s)  # noqa: E731
        where, relu, argsort, arange = numpy.where, lambda x: numpy.maximum(x, 0.0), lambda x: numpy.argsort(-x), numpy.arange
        choose_best = lambda f, ids: ids[numpy.arange(len(ids)), f[ids].argmax(1)]  # noqa: E731
        cat = numpy.concatenate
    pair, linear, weight = make(problem.pair), make(problem.linear), make(problem.weight)
    upper = float(problem.upper)

    def evaluate(x):
        problem.evaluations += len(x)
        value = ((x @ pair) * x).sum(1) * 0.5 + x @ linear
        size = x.sum(1)
        wrong = relu(size - MAX_SIZE) + relu(MIN_SIZE - size) + relu(x @ weight - upper) / (0.1 * upper)
        feasible = wrong == 0
        if feasible.any():
            problem.note(float(value[feasible].max()))
        return value - PENALTY * wrong

    x = (uniform(population, problem.n) < MAX_SIZE / problem.n) * 1.0
    x = x.float() if lib == "torch" else x.astype(numpy.float32)
    fitness = evaluate(x)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = argsort(fitness)[:elite]
        parents = [x[choose_best(fitness, integers(population, population - elite, 3))] for _ in range(2)]
        child = where(uniform(*parents[0].shape) < 0.5, *parents)
        flips = integers(problem.n, population - elite)
        rows = arange(population - elite)
        flipped = child[rows, flips]
        child[rows, flips] = where(uniform(population - elite) < 0.5, 1.0 - flipped, flipped)
        x = cat([x[best], child])
        fitness = evaluate(x)


SYSTEMS = {"DEAP": deap_ga, "PyGAD": pygad_ga, "NumPy": lambda p, s: vector_ga(p, s, "numpy"), "torch": lambda p, s: vector_ga(p, s, "torch")}


def run_sheaf(program: pathlib.Path, threads: int, folder: pathlib.Path) -> dict:
    out = folder / "sheaf.json"
    subprocess.run([str(program), "--device", "cpu", "--threads", str(threads), "--quiet", "--filter", f"^({SEARCH}|{FULL})", "--out", str(out),
                    "--arrays", str(folder / "arrays")], check=True)
    return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheaf", type=pathlib.Path, required=True, help="the program sheaf_bench")
    parser.add_argument("--threads", type=int, default=2, help="of Sheaf")
    parser.add_argument("--seconds", type=float, default=1.0, help="of every other system for each problem")
    parser.add_argument("--markdown", type=pathlib.Path, help="the page to write")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="sheaf-search-") as name:
        folder = pathlib.Path(name)
        runs = [run_sheaf(options.sheaf, options.threads, folder)]
        line = next(b for b in runs[0]["benchmarks"] if b["name"].startswith(SEARCH))
        arrays = {key: numpy.load(folder / "arrays" / line["name"] / f"{key}.npy") for key in ("linear", "pair", "weight", "upper", "value")}
        n_problems = len(arrays["upper"])
        results = {}
        for system, search in SYSTEMS.items():
            random.seed(0)
            problems = [Problem(arrays, p) for p in range(n_problems)]
            start = time.perf_counter()
            for problem in problems:
                search(problem, options.seconds)
            results[system] = (sum(p.evaluations for p in problems) / (time.perf_counter() - start), [p.best for p in problems])
        runs.append(run_sheaf(options.sheaf, options.threads, folder))

    def seconds(prefix):
        return numpy.mean([b["warm"]["median_s"] for run in runs for b in run["benchmarks"] if b["name"].startswith(prefix)])

    full_line = next(b for b in runs[0]["benchmarks"] if b["name"].startswith(FULL))
    full = full_line["axes"]["n_problems"] * full_line["axes"]["n_sets"] / seconds(FULL)
    moves = line["flops"] / seconds(SEARCH)
    each = seconds(SEARCH) / n_problems
    values = arrays["value"][:, 0]
    best = numpy.max([values] + [found for _, found in results.values()], axis=0)
    gap = lambda found: 100.0 * numpy.mean((best - numpy.asarray(found)) / best)  # noqa: E731
    machine = runs[0]["machine"]
    text = [f"# Bundle search beside other genetic algorithms, {datetime.date.today()}", "",
            f"- {machine['cpu']}, {options.threads} threads for Sheaf, one for the others (Python's; NumPy and torch are faster so), load {machine['load']:.1f} before the run; Sheaf {machine['revision']}, {machine['compiler']}",
            f"- {n_problems} problems of 128 candidates, at most {MAX_SIZE} items, one limit; {options.seconds:g} s a problem for the others, {each * 1e3:.2f} ms for Sheaf",
            "- Gap: mean distance to the best value that any system found. Full: sets summed from nothing a second; moves: sets judged by single changes", "",
            "| system | evaluations/s | Sheaf's full evaluations, times | Sheaf's moves, times | seconds a problem | gap |", "| --- | ---: | ---: | ---: | ---: | ---: |",
            f"| Sheaf, full | {full:.3g} | | | | |", f"| Sheaf, search | {moves:.3g} | | | {each:.4f} | {gap(values):.3f} % |"]
    for system, (rate, found) in results.items():
        text.append(f"| {system} | {rate:.3g} | {full / rate:.0f} | {moves / rate:.0f} | {options.seconds:g} | {gap(found):.3f} % |")
    page = "\n".join(text) + "\n"
    print(page, end="")
    if options.markdown:
        options.markdown.write_text(page)


if __name__ == "__main__":
    main()
