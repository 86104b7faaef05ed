"""What every peer shares: arrays of sheaf_bench, timing as sheaf_bench times, the same JSON.

A peer does the work of some of Sheaf's benchmarks in another system. It takes the inputs that `sheaf_bench --arrays`
wrote, compares its result with Sheaf's, and only then is timed. A result that differs makes the line a fault, as in
sheaf_bench.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Callable

EPSILON = 2.0 ** -24  # half a unit in the last place of fp32, relative
SWEEP_BYTES = 256 << 20  # more than the caches hold


@dataclass
class Work:
    run: Callable[[], object]  # issues the work once
    fault: Callable[[], str]  # after the first run(): empty, or how the result differs from Sheaf's


class Arrays:
    """The arrays of one benchmark, by name."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        return (self.folder / f"{name}.npy").exists()

    def __getitem__(self, name: str):
        import numpy

        return numpy.load(self.folder / f"{name}.npy")

    def csr(self, name: str, n_columns: int):
        """A pattern without values holds ones."""
        import numpy
        import scipy.sparse

        columns, offsets = self[f"{name}_columns"], self[f"{name}_row_offsets"]
        values = self[f"{name}_values"] if f"{name}_values" in self else numpy.ones(len(columns), numpy.float32)
        return scipy.sparse.csr_array((values, columns, offsets), shape=(len(offsets) - 1, n_columns))


class CpuClock:
    """Wall clock; sweep() puts other data into the caches."""

    batch_seconds = 0.0

    def __init__(self):
        import numpy

        self.other_data = numpy.zeros(SWEEP_BYTES // 4, numpy.float32)

    def sweep(self) -> None:
        self.other_data += 1

    def seconds(self, run: Callable[[], object], calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return time.perf_counter() - start


def difference(what: str, got, expected, bound) -> str:
    """Empty when |got - expected| <= bound everywhere; NaN differs."""
    import numpy

    got, expected = numpy.asarray(got, numpy.float64), numpy.asarray(expected, numpy.float64)
    if got.shape != expected.shape:
        return f"{what} has the shape {got.shape}, expected {expected.shape}"
    bound = numpy.broadcast_to(bound, got.shape)
    wrong = ~(abs(got - expected) <= bound)
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in numpy.argwhere(wrong)[0])
    return f"{what}{list(place)} is {got[place]:.9g}, expected {expected[place]:.9g} +- {bound[place]:.2g}"


def lists_difference(ids, scores, sheaf_ids, sheaf_scores, bound) -> str:
    """Top-k lists: the scores agree rank by rank, and so do the ids wherever no neighbouring score is as near as rounding."""
    import numpy

    filled = sheaf_ids >= 0
    if (filled != (ids >= 0)).any():
        return "the lists have other lengths"
    clean = [numpy.where(filled, s, 0.0).astype(numpy.float64) for s in (scores, sheaf_scores)]
    fault = difference("scores", *clean, bound)
    if fault:
        return fault
    gaps = numpy.full((len(ids), ids.shape[1] + 1), numpy.inf)
    gaps[:, 1:-1] = -numpy.diff(clean[1], axis=1)
    gaps[:, -1] = 0.0  # the next one is not known
    alone = numpy.minimum(gaps[:, :-1], gaps[:, 1:]) > 2 * numpy.broadcast_to(bound, ids.shape)
    wrong = alone & filled & (ids != sheaf_ids)
    return f"the lists differ in {wrong.sum()} ids" if wrong.any() else ""


def summarize(seconds: list[float]) -> dict:
    quarters = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return {"median_s": quarters[1], "min_s": min(seconds), "max_s": max(seconds), "spread": (quarters[2] - quarters[0]) / quarters[1]}


def bandwidth_ceiling(ceilings: dict, row_bytes: int) -> float:
    """GB/s that limits rows of that size, as in bench/common/ceilings.cpp."""
    if row_bytes == 0:
        return ceilings["copy_gb_per_s"]
    gather = sorted((int(size), rate) for size, rate in ceilings["gather_gb_per_s_by_row_bytes"].items())
    return max((entry for entry in gather if entry[0] <= row_bytes), default=gather[0])[1]


def measure(work: Work, sheaf_line: dict, ceilings: dict, clock, repetitions: int, min_seconds: float) -> dict:
    """A line like sheaf_bench's of the same benchmark, whose compulsory bytes and flops it takes."""
    line = {key: sheaf_line[key] for key in ("name", "family", "op", "axes", "bytes", "flops", "gathered_row_bytes")}
    work.run()
    fault = work.fault()
    if fault:
        return line | {"fault": fault}
    once = clock.seconds(work.run, 1)
    calls = max(1, round(max(min_seconds, clock.batch_seconds) / once))
    warm, cold = [], []
    for _ in range(repetitions):
        work.run()
        warm.append(clock.seconds(work.run, calls) / calls)
        clock.sweep()
        cold.append(clock.seconds(work.run, 1))
    line |= {"calls": calls, "warm": summarize(warm), "cold": summarize(cold)}
    seconds = line["warm"]["median_s"]
    bandwidth = bandwidth_ceiling(ceilings, line["gathered_row_bytes"])
    rate = max(ceilings["fma_gflop_per_s"], ceilings["matmul_gflop_per_s_by_type"].get("fp32", 0.0))
    line["gb_per_s"] = line["bytes"] / seconds * 1e-9
    line["gflop_per_s"] = line["flops"] / seconds * 1e-9
    line["bandwidth_fraction"] = line["gb_per_s"] / bandwidth
    line["flop_fraction"] = line["gflop_per_s"] / rate
    floor = max(line["bytes"] * 1e-9 / bandwidth, line["flops"] * 1e-9 / rate)
    for kind in ("warm", "cold"):
        line[f"roofline_fraction_{kind}"] = floor / line[kind]["median_s"]
    return line


def report(system: str, versions: str, sheaf: dict, threads: int, lines: list[dict]) -> dict:
    """The JSON of a run; the machine is the one that the run of Sheaf describes."""
    machine = sheaf["machine"] | {
        "threads": threads,
        "compiler": f"Python {platform.python_version()}",
        "flags": versions,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "load": os.getloadavg()[0],
    }
    return {"system": system, "suite": sheaf["suite"], "complete": True, "machine": machine, "ceilings": sheaf["ceilings"],
            "benchmarks": lines}


def main(system: str, versions: str, works: dict[str, Callable[[Arrays, dict], Work | None]], prepare: Callable[[str, int], object]) -> None:
    """`works` makes the work of an op from its arrays and axes; `prepare` takes device and threads and gives the clock."""
    parser = argparse.ArgumentParser(description=f"Does the work of Sheaf's benchmarks in {system}.")
    parser.add_argument("--sheaf", type=pathlib.Path, required=True, help="JSON of sheaf_bench: which benchmarks")
    parser.add_argument("--arrays", type=pathlib.Path, required=True, help="the folder of its --arrays")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON to write")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--min-seconds", type=float, default=0.03)
    options = parser.parse_args()
    sheaf = json.loads(options.sheaf.read_text())
    threads = sheaf["machine"]["threads"]
    clock = prepare(options.device, threads)
    lines = []
    for line in sheaf["benchmarks"]:
        if line["op"] not in works or "fault" in line:
            continue
        work = works[line["op"]](Arrays(options.arrays / line["name"]), line["axes"])
        if work is None:  # the other system has no such variant
            continue
        lines.append(measure(work, line, sheaf["ceilings"], clock, options.repetitions, options.min_seconds))
        outcome = lines[-1].get("fault") or f"{lines[-1]['warm']['median_s'] * 1e3:.3f} ms"
        print(f"{system}: {line['name']}: {outcome}", file=sys.stderr)
    options.out.write_text(json.dumps(report(system, versions, sheaf, threads, lines), indent=2) + "\n")
    sys.exit(1 if any("fault" in line for line in lines) else 0)
