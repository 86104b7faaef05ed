#!/usr/bin/env python3
"""Times the whole program: `sheaf demo`, and `sheaf import` of the Online Retail file when its path is given.

    bench/end_to_end.py build/cpu/bin/sheaf --runs 5 --threads 1 2 --online-retail online_retail.csv.gz --out end_to_end.md

Every run is a fresh process in a fresh folder. Prints a Markdown page: wall seconds by phase, peak memory, and the
quality that the time buys.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHASE = re.compile(r"^\[\d+/\d+\] (\S+)\s+([\d.]+) s", re.MULTILINE)


@dataclass
class Run:
    wall: float  # seconds
    peak: float  # MiB
    phases: dict[str, float] = field(default_factory=dict)
    metrics: str = ""  # metrics.json


def run(command: list[str], threads: int, folder: pathlib.Path) -> Run:
    """One process; its progress is read from stderr when it has ended."""
    log = folder / "stderr"
    with log.open("w") as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, cwd=folder,
                                 env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{log.read_text()}")
    phases = {name: float(seconds) for name, seconds in PHASE.findall(log.read_text())}
    metrics = folder / "out" / "metrics.json"
    return Run(wall, usage.ru_maxrss / 1024, phases, metrics.read_text() if metrics.exists() else "")


def repeat(command: list[str], threads: int, n_runs: int) -> list[Run]:
    runs = []
    for i in range(n_runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run(command, threads, pathlib.Path(folder)))
        print(f"{command[1]}, {threads} threads, run {i + 1}: {runs[-1].wall:.2f} s", file=sys.stderr)
    return runs


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f}"


def time_rows(what: str, threads: int, runs: list[Run]) -> list[str]:
    rows = [f"| {what} | {threads} | {phase} | {spread([r.phases[phase] for r in runs])} | |" for phase in runs[0].phases]
    peak = max(r.peak for r in runs)
    return rows + [f"| {what} | {threads} | **all** | {spread([r.wall for r in runs])} | {peak:.0f} |"]


def quality(runs: list[Run]) -> list[str]:
    metrics = json.loads(runs[0].metrics)
    alike = all(r.metrics == runs[0].metrics for r in runs)
    lines = ["", "## Quality", "",
             f"`metrics.json` of `sheaf demo`, {'the same bytes in' if alike else 'NOT the same in'} all {len(runs)} runs.", "",
             "| ranking | k | NDCG | recall | hit rate | MRR | coverage |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in metrics["ranking"]:
        values = " | ".join(f"{row[key]:.4f}" for key in ("ndcg", "recall", "hit_rate", "mrr", "coverage"))
        lines.append(f"| {row['name']} | {row['k']} | {values} |")
    balanced = metrics["balanced_sample"]
    lines += ["", "Of as many pairs that were not bought as were: " +
              ", ".join(f"{key.replace('_', ' ')} {balanced[key]:.4f}" for key in ("accuracy", "auc", "log_loss", "brier")) + "."]
    return lines


def cpu_name() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def put_page(lines: list[str], out: pathlib.Path | None) -> None:
    """To the file, or to stdout where none is named."""
    page = "\n".join(lines) + "\n"
    if out:
        out.write_text(page)
    else:
        print(page, end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--online-retail", type=pathlib.Path, help="online_retail.csv.gz: time its import as well")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    rows, demos = [], []
    for threads in options.threads:
        runs = repeat([program, "demo", "--device", "cpu", "--out", "out"], threads, options.runs)
        rows += time_rows("demo", threads, runs)
        demos += runs
    if options.online_retail:
        command = [program, "import", str(options.online_retail.resolve()), "--config",
                   str(ROOT / "datasets" / "online_retail.toml"), "--out", "out"]
        for threads in options.threads:
            rows += time_rows("import of Online Retail", threads, repeat(command, threads, options.runs))

    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# From end to end, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             f"- {options.runs} runs of each, wall seconds; the phases are the program's own, **all** is measured from outside", "",
             "| command | threads | phase | median | min | max | peak memory, MiB |",
             "| --- | ---: | --- | ---: | ---: | ---: | ---: |", *rows, *quality(demos)]
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
