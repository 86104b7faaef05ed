#!/usr/bin/env python3
"""Trains each preference model on prepared sets and measures it on the test period, beside the baselines.

    bench/models.py build/cpu/bin/sheaf data/complete_journey data/online_retail --out models.md
    bench/models.py build/cpu/bin/sheaf data/complete_journey --only fusion --seeds 3

A set is a folder of `sheaf import`. Prints a Markdown table: Recall@10 and NDCG@10 over the full catalog of models that
know the training period, and of the same learned again through the validation period (model.refit); with several seeds
their mean and standard deviation; the epoch that was kept and the seconds of training (of the first).
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

MODELS = {
    "fusion": ["model.preference=fusion"],
    "fusion, with ease": ["model.preference=fusion", "fusion.members=user-knn+item-knn+ease"],
    "fusion, logistic": ["model.preference=fusion", "fusion.hidden=none"],
    "factorization, softmax": ["model.preference=factorization"],
    "factorization, item_features": ["model.preference=factorization", "model.item_features=true"],
    "factorization, attribute_convolution": ["model.preference=factorization", "attribute_convolution.widths=2", "attribute_convolution.pooling=mean"],
    "factorization, bpr": ["model.preference=factorization", "model.loss=bpr"],
    "additive, bce": ["model.preference=additive", "model.loss=bce"],
    "sasrec, softmax": ["model.preference=sasrec"],
    "sasrec, softmax, 128 dimensions": ["model.preference=sasrec", "model.dim=128"],
    "sasrec, sampled_softmax": ["model.preference=sasrec", "model.loss=sampled_softmax"],
    "lightgcn": ["model.preference=lightgcn"],
    "lightgcn, gcn": ["model.preference=lightgcn", "lightgcn.form=gcn"],
    "autoencoder": ["model.preference=autoencoder"],
    "gru, softmax": ["model.preference=gru"],
    "gru, sampled_softmax": ["model.preference=gru", "model.loss=sampled_softmax"],
    "lstm, softmax": ["model.preference=lstm"],
    "ease": ["model.preference=ease"],
    "als": ["model.preference=als"],
    "als, 256 dimensions": ["model.preference=als", "als.dim=256"],
    "als, target 1 (Hu et al.)": ["model.preference=als", "als.target=one", "als.weight=log"],
    "svd": ["model.preference=svd"],
    "item-knn": ["model.preference=item-knn"],
    "user-knn": ["model.preference=user-knn"],
    "personal": ["model.preference=personal"],
    "blend": ["model.preference=blend"],
    "blend of fusion and ease": ["model.preference=blend", "blend.members=fusion+ease"],
}


def measure(program: str, data: pathlib.Path, settings: list[str], device: str) -> tuple[dict, list[dict], float]:
    with tempfile.TemporaryDirectory() as folder:
        options = [part for setting in settings for part in ("--set", setting)]
        start = time.perf_counter()
        trained = subprocess.run([program, "train", str(data), "--out", f"{folder}/model", "--json", "--quiet", "--device", device, *options],
                                 capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
        # Ranking alone: no bundle is that cheap.
        quality = subprocess.run([program, "evaluate", str(data), "--model", f"{folder}/model", "--json", "--quiet", "--device", device,
                                  "--set", "search.budget=1e-9"],
                                 capture_output=True, text=True, check=True)
        return json.loads(trained.stdout), json.loads(quality.stdout)["ranking"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("data", type=pathlib.Path, nargs="+", help="prepared sets")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=MODELS, metavar="NAME", help="leave out the other models")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# Preference models on the test period, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores, device {options.device}", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             f"- full catalog, nothing left out; settings as `sheaf config` prints them but for what the name says; seeds 1 to {options.seeds}", "",
             "| data | ranking | Recall@10 | NDCG@10 | NDCG@10, history through validation | kept epoch | seconds of training |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for data in options.data:
        baselines: dict[str, list[str]] = {}
        for name, settings in MODELS.items():
            if options.only and name not in options.only:
                continue
            recall, ndcg, kept, times = [], {"none": [], "validation": []}, 0, []
            for refit in ndcg:
                for seed in range(1, options.seeds + 1):
                    report, ranking, seconds = measure(program, data, [*settings, f"model.refit={refit}", f"run.seed={seed}"], options.device)
                    at_ten = [row for row in ranking if row["k"] == 10]
                    ndcg[refit].append(at_ten[0]["ndcg"])
                    if refit == "none":
                        recall.append(at_ten[0]["recall"])
                        times.append(seconds)
                        kept = kept or report["best_epoch"]
                for row in at_ten[1:]:
                    baselines.setdefault(row["name"], [f"{row['recall']:.4f}"] if refit == "none" else []).append(f"{row['ndcg']:.4f}")
                    baselines[row["name"]] = baselines[row["name"]][:2 if refit == "none" else 3]
            lines.append(f"| {data.name} | {name} | {statistics.mean(recall):.4f} | {spread(ndcg['none'])} | {spread(ndcg['validation'])} "
                         f"| {kept} | {times[0]:.1f} |")
        lines += [f"| {data.name} | {name} | {' | '.join(values)} | | |" for name, values in baselines.items()]
    put_page(lines, options.out)


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f}" + (f" ({statistics.stdev(values):.4f})" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
