#!/usr/bin/env python3
"""Checks bench/peers and bench/compare.py without the systems that they compare with. Usage: check_peers.py SHEAF_BENCH.

Every file compiles; a peer's JSON has the keys of sheaf_bench's; the exported arrays are what their headers say; a
result that differs is a fault; compare.py finds what became slower. Exit status 1 and one line a fault.
"""
import ast
import contextlib
import io
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers")]
sys.dont_write_bytecode = True
import compare  # noqa: E402
import peer_common  # noqa: E402
import run as peers_run  # noqa: E402

ADAM = "adam/n:1048576"


class TinyClock:
    batch_seconds = 0.0

    def sweep(self) -> None:
        pass

    def seconds(self, run, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return time.perf_counter() - start


def keys(value) -> object:
    """The shape of a JSON value: dicts by key, the first element of a list; sizes and types of a machine are values."""
    if isinstance(value, dict):
        return {key: None if key in ("axes", "ceilings") else keys(v) for key, v in value.items()}
    return [keys(value[0])] if isinstance(value, list) else None


def array_faults(folder: pathlib.Path) -> list[str]:
    found = []
    expected = {"grad": "(1048576,)", "parameters": "(1048576,)", "parameters_after": "(1048576,)", "adam": "(5,)"}
    if {path.stem for path in folder.glob("*.npy")} != set(expected):
        return [f"arrays: {sorted(path.name for path in folder.iterdir())}"]
    for name, shape in expected.items():
        data = (folder / f"{name}.npy").read_bytes()
        length = int.from_bytes(data[8:10], "little")
        header = ast.literal_eval(data[10:10 + length].decode())
        if data[:8] != b"\x93NUMPY\x01\x00" or (10 + length) % 64 or header["descr"] != "<f4" or str(header["shape"]) != shape:
            found.append(f"{name}.npy begins with {data[:10]} {header}")
        elif len(data) != 10 + length + 4 * math.prod(header["shape"]):
            found.append(f"{name}.npy has {len(data)} bytes")
    return found


def peer_faults(sheaf: dict) -> list[str]:
    line = sheaf["benchmarks"][0]

    def peer(fault: str) -> dict:
        work = peer_common.Work(lambda: sum(range(1000)), lambda: fault)
        return peer_common.measure(work, line, sheaf["ceilings"], TinyClock(), 3, 0.001)

    found = []
    report = peer_common.report("tiny", "tiny 1.0", sheaf, 1, [peer("")])
    if keys(report) != keys(sheaf):
        found.append(f"a peer's JSON has other keys: {keys(report)} against {keys(sheaf)}")
    own = report["benchmarks"][0]
    if not math.isclose(own["roofline_fraction_warm"] * own["warm"]["median_s"], line["roofline_fraction_warm"] * line["warm"]["median_s"]):
        found.append("a peer takes another floor than sheaf_bench")
    if peer("it differs").get("fault") != "it differs" or "warm" in peer("it differs"):
        found.append("a result that differs is timed")
    return found


def ranking_faults(sheaf: dict) -> list[str]:
    """run.py lists the peers' lines, wrong ones first, then by ratio."""
    def peer(edit) -> dict:
        line = json.loads(json.dumps(sheaf["benchmarks"][0]))
        edit(line)
        return {"benchmarks": [line]}

    def scaled(factor: float):
        return lambda line: line["warm"].update(median_s=factor * line["warm"]["median_s"])

    results = {"sheaf": sheaf | {"by_name": {line["name"]: line for line in sheaf["benchmarks"]}}, "fast": peer(scaled(0.5)),
               "slow": peer(scaled(10.0)), "same": peer(scaled(1.0)), "wrong": peer(lambda line: line.update(fault="it differs"))}
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in peers_run.ranking(results).splitlines() if ADAM in row]
    expected = [[shown, ADAM, name] for shown, name in (("WRONG", "wrong"), ("0.50", "fast"), ("1.00", "same"), ("10.00", "slow"))]
    return [] if rows == expected else [f"run.py ranks {rows}"]


def compare_faults(sheaf: dict, folder: pathlib.Path) -> list[str]:
    def change(name: str, edit) -> str:
        changed = json.loads(json.dumps(sheaf))
        edit(changed["benchmarks"])
        path = folder / name
        path.write_text(json.dumps(changed))
        return str(path)

    def slow(lines, what):
        for key in what:
            lines[0]["warm"][key] *= 1.5

    same = change("same.json", lambda lines: None)
    cases = {
        "the same run": (same, 0),
        "both slower": (change("slow.json", lambda lines: slow(lines, ("median_s", "min_s"))), 1),
        "the median alone slower": (change("noisy.json", lambda lines: slow(lines, ("median_s",))), 0),
        "missing": (change("missing.json", lambda lines: lines.clear()), 1),
        "wrong": (change("wrong.json", lambda lines: lines[0].update(fault="it differs")), 1),
    }
    found = []
    for what, (path, expected) in cases.items():
        done = subprocess.run([str(HERE / "compare.py"), same, path, "--max-ratio", "1.2"], capture_output=True, text=True)
        if done.returncode != expected:
            found.append(f"compare.py, {what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        if subprocess.run([str(HERE / "compare.py"), same, path], capture_output=True).returncode != 0:
            found.append(f"compare.py, {what}: fails without --max-ratio")
    a, b = compare.read(pathlib.Path(same)), compare.read(pathlib.Path(cases["both slower"][0]))
    if "| 1.50 |" not in " ".join(compare.table(a, b).split()):
        found.append(f"compare.py does not show the ratio:\n{compare.table(a, b)}")
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            compare.read(HERE / "README.md")
            found.append("compare.py takes any file")
        except SystemExit as error:
            if error.code != 2:
                found.append(f"compare.py ends with {error.code} for a bad file")
    return found


def main() -> int:
    found = []
    for path in sorted(HERE.rglob("*.py")):
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as error:
            found.append(f"{path.name}: {error}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run = subprocess.run([sys.argv[1], "--filter", "^adam/", "--device", "cpu", "--repetitions", "3", "--min-seconds", "0.002", "--json",
                              "--quiet", "--arrays", str(folder / "arrays")], capture_output=True, text=True)
        if run.returncode != 0 or run.stderr:
            print(f"sheaf_bench ended with {run.returncode}: {run.stderr}")
            return 1
        sheaf = json.loads(run.stdout)
        found += array_faults(folder / "arrays" / ADAM) + peer_faults(sheaf) + ranking_faults(sheaf) + compare_faults(sheaf, folder)
    print("\n".join(found) if found else "peers: no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
