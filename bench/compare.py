#!/usr/bin/env python3
"""Compares two runs of sheaf_bench, or one with a peer's (bench/peers), benchmark by benchmark.

    bench/compare.py before.json after.json
    bench/compare.py before.json after.json --max-ratio 1.1     # 1 if anything is slower than that, wrong or missing

A ratio is the second run's time over the first one's: above 1 the second is slower. Slower than --max-ratio means that
both the median and the fastest repetition say so: the one alone may be another program's doing.
"""
import argparse
import json
import pathlib
import sys


def read(path: pathlib.Path) -> dict:
    try:
        run = json.loads(path.read_text())
        run["by_name"] = {line["name"]: line for line in run["benchmarks"]}
        return run
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"compare: {path} is no result of sheaf_bench: {error}", file=sys.stderr)
        sys.exit(2)


def seconds_text(seconds: float) -> str:
    for unit, scale in (("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 1000:
            return f"{seconds * scale:.{1 if unit == 'us' else 2}f} {unit}"
    return f"{seconds:.2f} s"


def ratio(a: dict, b: dict, kind: str, what: str) -> float:
    return b[kind][what] / a[kind][what]


def row(a: dict, b: dict) -> list[str]:
    faults = [f"{side}: WRONG" for side, line in (("first", a), ("second", b)) if "fault" in line]
    if faults:
        return [a["name"], ", ".join(faults), "", "", "", "", "", ""]
    return [a["name"], seconds_text(a["warm"]["median_s"]), seconds_text(b["warm"]["median_s"]), f"{ratio(a, b, 'warm', 'median_s'):.2f}",
            f"{ratio(a, b, 'warm', 'min_s'):.2f}", f"{ratio(a, b, 'cold', 'median_s'):.2f}", f"{a['warm']['spread']:.0%}",
            f"{b['warm']['spread']:.0%}"]


def label(run: dict) -> str:
    system = run.get("system", "sheaf")
    return f"{system} {run['machine']['revision']}" if system == "sheaf" else system


def table(a: dict, b: dict) -> str:
    """Markdown, in columns that also read well as text."""
    first, second = (label(a), label(b)) if label(a) != label(b) else ("first", "second")
    rows = [["benchmark", first, second, "ratio", "of best", "of cold", "spread", "spread"]]
    rows += [row(line, b["by_name"][name]) for name, line in a["by_name"].items() if name in b["by_name"]]
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(r, widths))) + " |" for r in rows]
    lines.insert(1, "| " + " | ".join("-" * w if c == 0 else "-" * (w - 1) + ":" for c, w in enumerate(widths)) + " |")
    return "\n".join(lines) + "\n"


def unlike(a: dict, b: dict) -> list[str]:
    """What makes two runs of one program hard to compare."""
    keys = ("cpu", "cores", "threads", "device", "driver", "compiler", "flags", "wait_policy")
    found = [f"{key}: {x!r} against {y!r}" for key in keys if (x := a["machine"].get(key)) != (y := b["machine"].get(key))]
    return found + [f"the {side} run was interrupted" for side, run in (("first", a), ("second", b)) if not run.get("complete", True)]


def regressions(a: dict, b: dict, max_ratio: float) -> list[str]:
    found = []
    for name, before in a["by_name"].items():
        after = b["by_name"].get(name)
        if after is None:
            found.append(f"{name}: missing from the second run")
        elif "fault" in after:
            found.append(f"{name}: wrong: {after['fault']}")
        elif "fault" not in before and all(ratio(before, after, "warm", what) > max_ratio for what in ("median_s", "min_s")):
            found.append(f"{name}: {ratio(before, after, 'warm', 'median_s'):.2f} times as long")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=pathlib.Path)
    parser.add_argument("second", type=pathlib.Path)
    parser.add_argument("--max-ratio", type=float, help="exit status 1 if a benchmark takes more than this times as long, is wrong or missing")
    options = parser.parse_args()
    a, b = read(options.first), read(options.second)
    print(table(a, b), end="")
    if a.get("system") == b.get("system"):
        for line in unlike(a, b):
            print(f"unlike runs: {line}")
    found = regressions(a, b, options.max_ratio) if options.max_ratio is not None else []
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
