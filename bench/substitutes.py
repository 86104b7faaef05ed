#!/usr/bin/env python3
"""What substitutes and complements are worth: pairs labelled by hand, and the baskets of the later periods.

    bench/substitutes.py build/cpu/bin/sheaf [DATA]

DATA is a prepared set; without it the data that ships is imported. Prints Markdown tables. The baskets expected of the
same users are counted here once more, apart from the program. The labels are printed where DATA has their products.
"""
import argparse
import collections
import csv
import json
import pathlib
import struct
import subprocess
import tempfile

DATASETS = pathlib.Path(__file__).resolve().parent.parent / "datasets"
LABELS = DATASETS / "complete_journey" / "labelled_pairs.csv"
KINDS = ("substitute", "complement")


def load(folder: pathlib.Path) -> dict:
    """The tensors of a prepared set that are needed here, as sequences."""
    raw = (folder / "prepared.safetensors").read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    codes = {"I32": "i", "I64": "q", "F32": "f", "U8": "B", "F64": "d"}

    def tensor(name: str):
        begin, end = (8 + length + offset for offset in header[name]["data_offsets"])
        return memoryview(raw[begin:end]).cast(codes[header[name]["dtype"]])

    offsets, text = tensor("item_ids.offsets"), bytes(tensor("item_ids.bytes"))
    ids = [text[offsets[i]:offsets[i + 1]].decode() for i in range(len(offsets) - 1)]
    return {"ids": ids, **{name: tensor(name) for name in ("user", "item", "basket", "split", "item_category")}}


class Period:
    """The baskets of the given splits."""

    def __init__(self, data: dict, splits: tuple[int, ...]):
        held, self.user = collections.defaultdict(set), {}
        for user, item, basket, split in zip(data["user"], data["item"], data["basket"], data["split"]):
            if split in splits:
                held[basket].add(item)
                self.user[basket] = user
        self.width = {basket: len({data["item_category"][i] for i in items}) for basket, items in held.items()}
        self.baskets = collections.defaultdict(set)                 # of an item
        self.counts = collections.defaultdict(collections.Counter)  # of an item by user
        self.of_user, self.widths, squares = collections.defaultdict(list), collections.Counter(), collections.Counter()
        for basket, items in held.items():
            user, width = self.user[basket], self.width[basket]
            self.of_user[user].append(basket)
            self.widths[user] += width
            squares[user] += width * width
            for item in items:
                self.baskets[item].add(basket)
                self.counts[item][user] += 1
        self.spread = {user: squares[user] / self.widths[user] ** 2 for user in self.widths}

    def together(self, i: int, j: int) -> int:
        return len(self.baskets[i] & self.baskets[j])

    def expected(self, i: int, j: int) -> float:
        a, b = self.counts[i], self.counts[j]
        return sum(a[u] * b[u] * self.spread[u] for u in a.keys() & b.keys())


class Forecast:
    """Baskets of a later period with both items, as the habits of `train` have it. Of the baskets with i, each holds j with the chance
    min(1, n_uj w / sum w), users and widths as in train, times how much oftener j sells in the whole period than these
    chances say. The mean of this and of the same with i and j changed. (Counts of a few weeks alone would not do: of a
    user with one basket they expect what came.)"""

    def __init__(self, train: Period, later: Period):
        self.train, self.later, self.scale = train, later, {}

    def chance(self, item: int, basket: int) -> float:
        user = self.later.user[basket]
        count = self.train.counts[item][user]
        return min(1.0, count * self.later.width[basket] / self.train.widths[user]) if count else 0.0

    def one_way(self, i: int, j: int) -> float:
        if j not in self.scale:
            usual = sum(self.chance(j, basket) for user in list(self.train.counts[j]) for basket in self.later.of_user.get(user, ()))
            bought = sum(1 for basket in self.later.baskets[j] if self.later.user[basket] in self.train.counts[j])
            self.scale[j] = bought / usual if usual > 0 else 0.0
        return self.scale[j] * sum(self.chance(j, basket) for basket in self.later.baskets[i])

    def expected(self, i: int, j: int) -> float:
        return (self.one_way(i, j) + self.one_way(j, i)) / 2

    def together(self, i: int, j: int) -> int:
        users = self.train.counts[i].keys() & self.train.counts[j].keys()
        return sum(1 for basket in self.later.baskets[i] & self.later.baskets[j] if self.later.user[basket] in users)


def labels(found: dict) -> None:
    table = collections.Counter()
    with LABELS.open(newline="") as file:
        for row in csv.DictReader(file):
            kind = found.get((row["item"], row["partner"])) or found.get((row["partner"], row["item"])) or "neither"
            table[row["kind"], kind] += 1
    print("| labelled | pairs | called substitute | complement | neither |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for label in ("substitute", "variety", "complement", "neither"):
        row = [table[label, kind] for kind in (*KINDS, "neither")]
        print(f"| {label} | {sum(row)} | {' | '.join(map(str, row))} |")
    print()


def later(data: dict, rows: list[dict]) -> None:
    number = {item: i for i, item in enumerate(data["ids"])}
    train = Period(data, (0,))
    periods = {"train": train, "validation": Forecast(train, Period(data, (1,))), "test": Forecast(train, Period(data, (2,)))}
    print("| pairs called | in train | period | baskets with both | expected | ratio | ratio learned in train |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for kind in KINDS:
        called = [(number[r["item_id"]], number[r["partner_id"]], float(r["ratio"])) for r in rows if r["kind"] == kind]
        for name, period in periods.items():
            together = sum(period.together(i, j) for i, j, _ in called)
            expected = [period.expected(i, j) for i, j, _ in called]
            learned = sum(e * ratio for e, (_, _, ratio) in zip(expected, called))
            total = max(sum(expected), 1e-9)
            print(f"| {kind} | {len(called):,} | {name} | {together:,} | {total:,.1f} | {together / total:.2f} | {learned / total:.2f} |")


def chance(data: dict) -> None:
    """Whether products of different categories meet as often as expected, with and without the widths of baskets."""
    train = Period(data, (0,))
    popular = sorted(train.baskets, key=lambda i: (-len(train.baskets[i]), i))[:100]
    pairs = [(i, j) for i in popular for j in popular if i < j and data["item_category"][i] != data["item_category"][j]]
    together = sum(train.together(i, j) for i, j in pairs)
    wide = sum(train.expected(i, j) for i, j in pairs)
    train.spread = {user: 1 / len(baskets) for user, baskets in train.of_user.items()}
    alike = sum(train.expected(i, j) for i, j in pairs)
    print(f"\nThe 100 most sold products, pairs of two categories: {together / wide:.2f} times the expected baskets; "
          f"{together / alike:.2f} times if all baskets of a user counted alike.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="?")
    options = parser.parse_args()
    program = str(options.program.resolve())
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or pathlib.Path(scratch) / "data"
        if options.data is None:
            subprocess.run([program, "import", DATASETS / "complete_journey" / "transactions.csv.gz", "--config",
                            DATASETS / "complete_journey.toml", "--out", folder, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        out = pathlib.Path(scratch) / "pairs"
        subprocess.run([program, "associate", folder, "--by", "lift", "--out", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        with (out / "relations.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        data = load(folder)
    found = {(r["item_id"], r["partner_id"]): r["kind"] for r in rows}
    with LABELS.open(newline="") as file:
        if {row["item"] for row in csv.DictReader(file)} <= set(data["ids"]):
            labels(found)
    later(data, rows)
    chance(data)


if __name__ == "__main__":
    main()
