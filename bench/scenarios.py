#!/usr/bin/env python3
"""Runs the six scenarios of datasets/scenarios on the data that ships and, when its path is given, on Online Retail.

    bench/scenarios.py build/cpu/bin/sheaf --online-retail online_retail.csv.gz --out scenarios.md

Imports, trains with the usual settings and searches. Prints a Markdown table: how many of the searches (or users) found
a bundle that holds all constraints, how many bundles are in the result, and their mean size, price before discount,
discount and categories.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import tempfile

from end_to_end import cpu_name, put_page

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATASETS = ROOT / "datasets"
CATALOG = ("cross_category", "discount_sale", "replenishment", "new_product")
USERS = ("personal", "customer_care")


class Sheaf:
    def __init__(self, program: pathlib.Path, device: str):
        self.program, self.device = str(program.resolve()), device

    def __call__(self, *words: object) -> subprocess.CompletedProcess:
        command = [self.program, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr}")
        return done

    def search(self, folder: pathlib.Path, scenario: str, *more: object) -> tuple[list[dict], str]:
        done = self("search", folder / "data", "--model", folder / "model", "--out", folder / scenario, "--json", "--device", self.device,
                    "--settings", DATASETS / "scenarios" / f"{scenario}.toml", *more)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def row_of(data: str, scenario: str, asked: int, feasible: int, bundles: list[dict], currency: str) -> str:
    size = mean([len(bundle["items"]) for bundle in bundles])
    price = mean([sum(item["price"] for item in bundle["items"]) for bundle in bundles])
    discount = mean([bundle["discount"] for bundle in bundles])
    categories = mean([len({item["category"] for item in bundle["items"]}) for bundle in bundles])
    return (f"| {data} | `{scenario}` | {asked:,} | {feasible:,} | {len(bundles):,} | {size:.2f} | {price:.2f} {currency} "
            f"| {100 * discount:.1f} % | {categories:.2f} |")


def rows_of(sheaf: Sheaf, data: str, source: pathlib.Path, config: pathlib.Path, categories: str) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sheaf("import", source, "--config", config, "--out", folder / "data", "--quiet")
        sheaf("train", folder / "data", "--out", folder / "model", "--quiet", "--device", sheaf.device)
        rows, currency = [], ""
        for scenario in CATALOG:
            bundles, progress = sheaf.search(folder, scenario)
            # "200 of 200 searches found a bundle that meets the constraints"
            line = next(line for line in progress.splitlines() if " searches found " in line).split()
            currency = bundles[0]["currency"]
            rows.append(row_of(data, scenario, int(line[2]), int(line[0]), bundles, currency))
        scored = sheaf("score", folder / "data", "--model", folder / "model", "--out", folder / "scores", "--json", "--quiet",
                       "--device", sheaf.device)
        users = [json.loads(line)["user"] for line in scored.stdout.splitlines()]
        (folder / "users.txt").write_text("".join(f"{user}\n" for user in users))
        for scenario in USERS:
            more = ["--set", f"search.categories={categories}"] if scenario == "customer_care" else []
            lines, _ = sheaf.search(folder, scenario, "--users", folder / "users.txt", *more)
            found = [line["bundle"] for line in lines if line["bundle"]["feasible"]]
            rows.append(row_of(data, scenario, len(lines), len(found), found, currency))
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("--online-retail", type=pathlib.Path, help="online_retail.csv or .csv.gz")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    sheaf = Sheaf(options.sheaf, options.device)
    version = sheaf("--version").stdout.strip()
    rows = rows_of(sheaf, "Complete Journey, 390 households", DATASETS / "complete_journey" / "transactions.csv.gz",
                   DATASETS / "complete_journey.toml", '["TROPICAL FRUIT", "BERRIES"]')
    if options.online_retail:
        rows += rows_of(sheaf, "Online Retail", options.online_retail, DATASETS / "online_retail.toml", '["tableware", "kitchen and baking"]')
    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# The six scenarios, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores, device {options.device}", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             "- the usual settings but for those of the scenario; `customer_care` with two categories: tropical fruit and berries, or tableware",
             "  and kitchen and baking", "",
             "| data | scenario | searches or users | feasible | bundles | mean size | mean price | mean discount | mean categories |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *rows]
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
