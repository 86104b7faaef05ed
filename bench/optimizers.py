#!/usr/bin/env python3
"""Trains models with each optimizer: the learning rate by the validation period, then several seeds on the test period.

    bench/optimizers.py build/cpu/bin/sheaf data/complete_journey --out optimizers_of_models.md

Each optimizer gets as many learning rates, spread about its usual one. The rate with the best validation NDCG@10 of seed
1 is trained with every seed, and the test period is looked at for these alone. A page in Markdown: NDCG@10 of both
periods with the standard deviation over seeds, and the seconds of an epoch, validation included (the median of runs).
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from end_to_end import cpu_name, put_page
from models import spread

# Of a model: its settings, the learning rate of adamw, and what it tries in place of RATES.
MODELS = {
    "factorization, softmax": (["model.preference=factorization"], 0.02, {}),
    "sasrec, at most 4 epochs": (["model.preference=sasrec", "model.epochs=4"], 0.001, {}),
    "factorization, bpr, at most 4 epochs": (["model.preference=factorization", "model.loss=bpr", "model.epochs=4",
                                               "model.validate_every=2"], 0.003,
                                             {"sgd": (300, 1000, 3000)}),
}
# Of an optimizer: the rates that are tried, in units of adamw's.
RATES = {"adamw": (0.3, 1, 3), "adam": (0.3, 1, 3), "rmsprop": (0.1, 0.3, 1), "adagrad": (2.5, 8, 25),
         "sgd": (5, 15, 50)}


def train(program: str, data: pathlib.Path, folder: str, settings: list[str]) -> tuple[dict, float]:
    """The report, or an NDCG of -1 where the training diverged; and the seconds."""
    options = [part for setting in settings for part in ("--set", setting)]
    start = time.perf_counter()
    run = subprocess.run([program, "train", str(data), "--out", f"{folder}/model", "--json", "--quiet", "--device", "cpu", *options],
                         capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if run.returncode != 0:
        if "learning_rate" not in run.stderr:
            raise SystemExit(run.stderr)
        return {"validation_ndcg": -1.0, "epochs": 1, "best_epoch": 0}, seconds
    return json.loads(run.stdout), seconds


def test_ndcg(program: str, data: pathlib.Path, folder: str) -> float:
    run = subprocess.run([program, "evaluate", str(data), "--model", f"{folder}/model", "--json", "--quiet", "--device", "cpu",
                          "--set", "search.budget=1e-9"], capture_output=True, text=True, check=True)
    return next(row["ndcg"] for row in json.loads(run.stdout)["ranking"] if row["k"] == 10)


def measure(program: str, data: pathlib.Path, settings: list[str], base: float, shares: tuple, optimizer: str, seeds: int) -> str:
    times, tried = [], {}
    with tempfile.TemporaryDirectory() as folder:
        def run(rate: float, seed: int) -> float:
            report, seconds = train(program, data, folder, [*settings, f"model.optimizer={optimizer}", f"run.seed={seed}",
                                                            f"model.learning_rate={rate:g}"])
            times.append(seconds / report["epochs"])
            return report["validation_ndcg"]
        for share in shares:
            tried[base * share] = run(base * share, 1)
        best = max(tried, key=lambda rate: tried[rate])
        validation, test = [], []
        for seed in range(1, seeds + 1):
            validation.append(run(best, seed))
            test.append(test_ndcg(program, data, folder))
    all_tried = ", ".join(f"{rate:g}" if ndcg >= 0 else f"{rate:g} (diverged)" for rate, ndcg in tried.items())
    return f"{all_tried} | {best:g} | {spread(validation)} | {spread(test)} | {statistics.median(times):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("data", type=pathlib.Path, help="a prepared set")
    parser.add_argument("--only", nargs="+", choices=MODELS, metavar="NAME", help="leave out the other models")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# Optimizers of models, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             f"- {options.data.name}; NDCG@10, full catalog; learning rates chosen on validation by seed 1, then seeds 1 to {options.seeds}", "",
             "| model | optimizer | learning rates tried | chosen | validation | test | seconds an epoch |",
             "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    for name, (settings, base, own) in MODELS.items():
        if options.only and name not in options.only:
            continue
        for optimizer in RATES:
            row = measure(program, options.data, settings, base, own.get(optimizer, RATES[optimizer]), optimizer, options.seeds)
            lines.append(f"| {name} | {optimizer} | {row}")
            print(lines[-1], flush=True)
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
