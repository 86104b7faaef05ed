#!/usr/bin/env python3
"""Trains each preference model on prepared sets and measures it on the test period, beside the baselines.

    bench/models.py build/cpu/bin/sheaf data/complete_journey data/online_retail --out models.md

A set is a folder of `sheaf import`. Prints a Markdown table: Recall@10 and NDCG@10 over the full catalog, the kept
epoch, seconds of training.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import time

from end_to_end import cpu_name, put_page

MODELS = {
    "factorization, softmax": [],
    "factorization, bpr": ["model.loss=bpr"],
    "additive, bce": ["model.preference=additive", "model.loss=bce"],
    "sasrec, softmax": ["model.preference=sasrec"],
    "sasrec, softmax, 128 dimensions": ["model.preference=sasrec", "model.dim=128"],
    "sasrec, sampled_softmax": ["model.preference=sasrec", "model.loss=sampled_softmax"],
    "ease": ["model.preference=ease"],
    "personal": ["model.preference=personal"],
}


def measure(program: str, data: pathlib.Path, settings: list[str], device: str) -> tuple[dict, list[dict], float]:
    with tempfile.TemporaryDirectory() as folder:
        options = [part for setting in settings for part in ("--set", setting)]
        start = time.perf_counter()
        trained = subprocess.run([program, "train", str(data), "--out", f"{folder}/model", "--json", "--quiet", "--device", device, *options],
                                 capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
        quality = subprocess.run([program, "evaluate", str(data), "--model", f"{folder}/model", "--json", "--quiet", "--device", device],
                                 capture_output=True, text=True, check=True)
        return json.loads(trained.stdout), json.loads(quality.stdout)["ranking"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("data", type=pathlib.Path, nargs="+", help="prepared sets")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# Preference models on the test period, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores, device {options.device}", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             "- full catalog, nothing left out; settings as `sheaf config` prints them but for what the name says", "",
             "| data | ranking | Recall@10 | NDCG@10 | kept epoch | seconds of training |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for data in options.data:
        baselines = []
        for name, settings in MODELS.items():
            report, ranking, seconds = measure(program, data, settings, options.device)
            at_ten = [row for row in ranking if row["k"] == 10]
            row = at_ten[0]
            lines.append(f"| {data.name} | {name} | {row['recall']:.4f} | {row['ndcg']:.4f} | {report['best_epoch']} | {seconds:.1f} |")
            baselines = at_ten[1:]
        lines += [f"| {data.name} | {row['name']} | {row['recall']:.4f} | {row['ndcg']:.4f} | | |" for row in baselines]
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
