#!/usr/bin/env python3
"""Runs Sheaf's benchmarks and the same work in other systems by turns, and prints the ratios.

    scripts/setup_peers.sh
    .venv-peers/bin/python bench/peers/run.py --sheaf build/cpu/bin/sheaf_bench --out peers --filter '^(bag|adam)/'

OUT gets the JSON of every system, the rounds merged, and ratios.md. Exit status 1 if a result was wrong or differs.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import compare  # noqa: E402

PEERS = ("torch_embedding", "torch_entities", "torch_adagrad", "torch_dense", "torch_attention", "torch_optim", "torch_scores",
         "torch_activation", "scipy_sparse", "faiss_topk", "implicit_als")
CPU_ONLY = ("scipy_sparse", "faiss_topk", "implicit_als")


def run(command: list[str], out: pathlib.Path, threads: int) -> dict:
    """The JSON that the command writes. Every library takes as many threads as Sheaf and lets them wait in the same way."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {"OMP_WAIT_POLICY": "passive"} | os.environ | ({name: str(threads) for name in names} if threads else {})
    out.unlink(missing_ok=True)
    status = subprocess.run([*command, "--out", str(out)], env=environment).returncode
    # Status 1 is a wrong result, which the JSON holds.
    if status not in (0, 1) or not out.exists():
        sys.exit(f"{' '.join(command)} ended with {status}")
    return json.loads(out.read_text())


def merge(rounds: list[dict]) -> dict:
    """The median of the rounds' medians, the best and the worst of all repetitions, the widest spread."""
    merged = rounds[0] | {"rounds": len(rounds), "benchmarks": []}
    for lines in zip(*(r["benchmarks"] for r in rounds)):
        line = next((line for line in lines if "fault" in line), None)
        if line is None:
            line = dict(lines[0])
            for kind in ("warm", "cold"):
                times = [one[kind] for one in lines]
                line[kind] = {"median_s": statistics.median(t["median_s"] for t in times), "min_s": min(t["min_s"] for t in times),
                              "max_s": max(t["max_s"] for t in times), "spread": max(t["spread"] for t in times)}
            for key in ("gb_per_s", "gflop_per_s", "bandwidth_fraction", "flop_fraction", "roofline_fraction_warm", "roofline_fraction_cold"):
                line[key] = statistics.median(one[key] for one in lines)
        merged["benchmarks"].append(line)
    return merged


def measure(options: argparse.Namespace, peers: list[str], folder: pathlib.Path) -> dict[str, dict]:
    """Every system's rounds, merged."""
    rounds = {name: [] for name in ("sheaf", *peers)}
    measured = ["--repetitions", str(options.repetitions), "--min-seconds", str(options.min_seconds)]
    arrays = folder / "arrays"
    for i in range(options.rounds):
        print(f"round {i + 1} of {options.rounds}", file=sys.stderr)
        sheaf = folder / "sheaf.json"
        command = [str(options.sheaf), "--suite", options.suite, "--filter", options.filter, "--device", options.device, "--quiet",
                   "--threads", str(options.threads), *measured, *(["--arrays", str(arrays)] if i == 0 else [])]
        rounds["sheaf"].append(run(command, sheaf, options.threads))
        for peer in peers:
            command = [sys.executable, str(HERE / f"{peer}.py"), "--sheaf", str(sheaf), "--arrays", str(arrays), "--device", options.device,
                       *measured]
            rounds[peer].append(run(command, folder / f"{peer}.json", rounds["sheaf"][0]["machine"]["threads"]))
    return {name: merge(runs) for name, runs in rounds.items()}


def ranking(results: dict[str, dict]) -> str:
    """Every benchmark that a peer has done, by its ratio, the worst first; wrong results before all."""
    own = results["sheaf"]["by_name"]
    rows = []
    for name, result in results.items():
        for line in result["benchmarks"] if name != "sheaf" else []:
            if "fault" in line or "fault" in own[line["name"]]:
                rows.append((float("-inf"), "WRONG", line["name"], name))
            else:
                ratio = compare.ratio(own[line["name"]], line, "warm", "median_s")
                rows.append((ratio, f"{ratio:.2f}", line["name"], name))
    text = "\n## Every op that has a peer, the worst ratio first\n\n| ratio | benchmark | peer |\n| ---: | --- | --- |\n"
    return text + "".join(f"| {shown} | {benchmark} | {peer} |\n" for _, shown, benchmark, peer in sorted(rows))


def page(results: dict[str, dict]) -> str:
    machine = results["sheaf"]["machine"]
    text = f"# Sheaf beside other systems, {machine['date'][:10]}\n\n"
    text += f"- {machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads; {machine['device']}; load {machine['load']:.1f} before the run\n"
    text += f"- Sheaf {machine['revision']}, {machine['compiler']}, {machine['flags']}\n"
    text += f"- {results['sheaf']['rounds']} rounds by turns. A ratio is the other system's time over Sheaf's: above 1 Sheaf is faster\n"
    for name, result in results.items():
        result["by_name"] = {line["name"]: line for line in result["benchmarks"]}
        if name != "sheaf" and result["benchmarks"]:
            text += f"\n## {name}: {result['machine']['flags']}\n\n{compare.table(results['sheaf'], result)}"
    return text + ranking(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheaf", type=pathlib.Path, required=True, help="the program sheaf_bench")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder to write")
    parser.add_argument("--filter", default="^(table_bag|table_bag_entities|table_update|table_update_entities|adam|attention|attention_backward|attention_step|score_topk|full_softmax|cosine_topk|cooccurrence|spgemm|row_topk|mean_sigmoid|gather_scores|scaled_add|spd_inverse|activation|activation_backward)/")
    parser.add_argument("--suite", choices=["quick", "full", "large"], default="quick")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of every system; 0 takes all cores")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--min-seconds", type=float, default=0.03)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    peers = [peer for peer in options.peers if options.device == "cpu" or peer not in CPU_ONLY]
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sheaf-peers-") as folder:
        results = measure(options, peers, pathlib.Path(folder))
    text = page(results)
    (options.out / "ratios.md").write_text(text)
    print(text, end="")
    for name, result in results.items():
        del result["by_name"]
        (options.out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    faults = [f"{name}: {line['name']}: {line['fault']}" for name, result in results.items() for line in result["benchmarks"] if "fault" in line]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
