#!/usr/bin/env python3
"""Runs the smallest benchmark and looks at what it leaves behind. Usage: check_run.py SHEAF_BENCH. Exit status 1 and one line a fault."""
import json
import pathlib
import subprocess
import sys
import tempfile


def bench(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def faults(program: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        out, table = pathlib.Path(folder, "run.json"), pathlib.Path(folder, "run.md")
        run = bench(program, "--suite", "quick", "--filter", "^bce/", "--device", "cpu", "--repetitions", "3",
                    "--min-seconds", "0.002", "--out", str(out), "--markdown", str(table))
        if run.returncode != 0:
            return [f"exit status {run.returncode}: {run.stderr.strip() or run.stdout.strip()}"]
        result = json.loads(out.read_text())
        markdown = table.read_text()

    found = []
    names = [line["name"] for line in result["benchmarks"]]
    if names != ["bce/n_batch:65536/group:5"]:
        found.append(f"wrong benchmarks: {names}")
    for key in ("cpu", "cores", "threads", "device", "driver", "compiler", "flags", "revision", "date", "load"):
        if key not in result["machine"]:
            found.append(f"no machine.{key}")
    if not all(result["ceilings"][key] > 0 for key in ("copy_gb_per_s", "fma_gflop_per_s", "matmul_gflop_per_s")):
        found.append(f"ceilings: {result['ceilings']}")
    for line in result["benchmarks"]:
        for times in (line["warm"], line["cold"]):
            if not 0 < times["min_s"] <= times["median_s"] <= times["max_s"]:
                found.append(f"{line['name']}: {times}")
        if not line["bytes"] > 0 or not line["gb_per_s"] > 0 or not line["roofline_fraction_warm"] > 0:
            found.append(f"{line['name']}: no rates")
        for text, where in ((run.stdout, "the table"), (markdown, "the Markdown")):
            if line["name"] not in text:
                found.append(f"{line['name']} is not in {where}")
    if bench(program, "--filter", "no such op").returncode != 2:
        found.append("a filter that matches nothing is not refused")
    return found


if __name__ == "__main__":
    all_faults = faults(sys.argv[1])
    print("\n".join(all_faults) if all_faults else "sheaf_bench runs")
    sys.exit(1 if all_faults else 0)
