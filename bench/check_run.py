#!/usr/bin/env python3
"""Runs the smallest benchmark and looks at what it leaves behind. Usage: check_run.py SHEAF_BENCH. Exit status 1 and one line a fault."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


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
    if not result["complete"] or result["system"] != "sheaf":
        found.append("the run does not say that it is a complete one of sheaf")
    if names != ["bce/n_batch:65536/group:5"]:
        found.append(f"wrong benchmarks: {names}")
    for key in ("cpu", "cores", "threads", "device", "driver", "compiler", "flags", "wait_policy", "revision", "date", "load"):
        if key not in result["machine"]:
            found.append(f"no machine.{key}")
    ceilings = result["ceilings"]
    if not all(rate > 0 for rate in (ceilings["copy_gb_per_s"], ceilings["fma_gflop_per_s"],
                                     ceilings["matmul_gflop_per_s_by_type"]["fp32"])):
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
    return found + failing_case_faults(program) + interrupted_faults(program) + missing_ops(program)


def failing_case_faults(program: str) -> list[str]:
    """A benchmark that throws is a line; those before and behind it are measured, and the exit status is 1."""
    with tempfile.TemporaryDirectory() as folder:
        out, table = pathlib.Path(folder, "run.json"), pathlib.Path(folder, "run.md")
        arrays = pathlib.Path(folder, "arrays")
        arrays.mkdir()
        arrays.joinpath("bpr").write_text("no folder can be made here")
        run = bench(program, "--filter", "^(bpr|bce|adam)/", "--device", "cpu", "--repetitions", "3", "--min-seconds", "0.002",
                    "--arrays", str(arrays), "--out", str(out), "--markdown", str(table))
        if run.returncode != 1:
            return [f"exit status {run.returncode} where a benchmark fails: {run.stderr}"]
        result, markdown = json.loads(out.read_text()), table.read_text()
    found = []
    state = {line["op"]: "failed" if line.get("failed") else "fault" in line for line in result["benchmarks"]}
    if state != {"bpr": "failed", "bce": False, "adam": False} or not result["complete"]:
        found.append(f"where bpr fails: {state}")
    for text, where in ((run.stdout, "the table"), (markdown, "the Markdown")):
        if not re.search(r"bpr/\S+ (\| )?failed: .*arrays", text):
            found.append(f"{where} does not say why bpr failed")
    return found


def interrupted_faults(program: str) -> list[str]:
    """Ctrl-C after the first line: exit status 5, and that line is in the JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "run.json")
        command = [program, "--filter", "^(exclusive_scan|adam)/", "--device", "cpu", "--min-seconds", "0.002", "--repetitions", "60",
                   "--out", str(out)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in child.stdout:
            if line.startswith("exclusive_scan/"):
                break
        kept = []  # the line is in the file before the run ends
        for _ in range(100):
            kept = [line["op"] for line in json.loads(out.read_text())["benchmarks"]] if out.exists() else []
            if kept:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        if kept != ["exclusive_scan"]:
            child.communicate()
            return [f"after the first line the file holds {kept}"]
        _, errors = child.communicate()
        if child.returncode != 5:
            return [f"Ctrl-C ends with {child.returncode}: {errors}"]
        result = json.loads(out.read_text())
    names = [line["op"] for line in result["benchmarks"]]
    return [] if names == ["exclusive_scan"] and not result["complete"] else [f"after Ctrl-C the JSON holds {names}"]


def missing_ops(program: str) -> list[str]:
    """Every op of kernels/ has a line in both suites; the probes are what the others are measured against."""
    ops = set()
    for header in (ROOT / "kernels").rglob("*.hpp"):
        ops.update(re.findall(r"^SHEAF_BACKENDS\((\w+), ", header.read_text(), re.MULTILINE))
    ops = {op for op in ops if not op.startswith("probe_")} | {"cooccurrence", "cooccurrence_sizes"}
    found = []
    for suite in ("quick", "full"):
        listed = {name.split("/")[0] for name in bench(program, "--suite", suite, "--list").stdout.split()}
        found += [f"the {suite} suite has no benchmark of {op}" for op in sorted(ops - listed)]
    return found


if __name__ == "__main__":
    all_faults = faults(sys.argv[1])
    print("\n".join(all_faults) if all_faults else "sheaf_bench runs")
    sys.exit(1 if all_faults else 0)
