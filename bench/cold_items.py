#!/usr/bin/env python3
"""Measures how models rank cold items, whose purchases are hidden from the training.

    bench/cold_items.py build/cpu/bin/sheaf datasets --out cold_items.md
    bench/cold_items.py build/cpu/bin/sheaf datasets --period validation --draws 1 --only als

Of the items that an import of The Complete Journey keeps, a random tenth is drawn (or with --newest the tenth whose
first purchase is the latest). Their purchases before the judged period are left out, and a user "nobody" of the judged
period holds all of them once, so that all stay in the catalog. Each model learns from the rest; the last 28 days of it
are its validation period. Of every user with purchases of cold items in the judged period the cold items alone are
ranked: Recall@10 and NDCG@10, mean and standard deviation over draws. The models' vectors are read from their files, and
scores are made here. Beside them: chance, the purchases of the item's category for each of its items, and the user's own
purchases of the item's category or product type. Needs numpy and, for "with text vectors", scikit-learn. Prints a Markdown page.
"""
import argparse
import csv
import datetime
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np

from end_to_end import cpu_name, put_page
from models import spread

ROOT = pathlib.Path(__file__).resolve().parent.parent
PERIOD = {"train": 0, "validation": 1, "test": 2}
CONFIG = """[source]
name = "cold items"
currency = "USD"
[columns]
user = "user"
basket = "basket"
item = "item"
timestamp = "time"
quantity = "quantity"
price = "price"
[timestamp]
format = "%s"
[items]
file = "products.csv.gz"
key = "product_id"
name = ["product_type", "package_size"]
category = "product_category"
categorical = ["department", "brand", "product_category", "product_type", "manufacturer_id"]
[clean]
drop_duplicates = false
require_positive_price = false
[split]
kind = "given"
column = "split"
"""
VECTORS = '[vectors]\nfile = "vectors.npy"\nids = "vectors.txt"\n'
FEATURES = "model.item_features=true"
CONVOLUTION = ["attribute_convolution.widths=2", "attribute_convolution.pooling=mean"]
# name, settings, whether the items have text vectors
MODELS = {
    "factorization": (["model.preference=factorization"], False),
    "factorization, item_features": (["model.preference=factorization", FEATURES], False),
    "factorization, with text vectors": (["model.preference=factorization"], True),
    "factorization, item_features, with text vectors": (["model.preference=factorization", FEATURES], True),
    "factorization, attribute_convolution": (["model.preference=factorization", *CONVOLUTION], False),
    "factorization, item_features, attribute_convolution": (["model.preference=factorization", FEATURES, *CONVOLUTION], False),
    "factorization, bpr, item_features": (["model.preference=factorization", "model.loss=bpr", FEATURES], False),
    "lightgcn": (["model.preference=lightgcn"], False),
    "als": (["model.preference=als"], False),
    "als, with text vectors": (["model.preference=als"], True),
    "svd": (["model.preference=svd"], False),
    "autoencoder": (["model.preference=autoencoder"], False),
}


def tensors_of(folder: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    raw = (folder / f"{name}.safetensors").read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    types = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1"}
    found = {}
    for key, entry in json.loads(raw[8:8 + length]).items():
        if key != "__metadata__":
            begin, end = (8 + length + at for at in entry["data_offsets"])
            found[key] = np.frombuffer(raw[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
    return found


def strings_of(tensors: dict[str, np.ndarray], name: str) -> list[str]:
    text, at = tensors[name + ".bytes"].tobytes(), tensors[name + ".offsets"]
    return [text[at[i]:at[i + 1]].decode() for i in range(len(at) - 1)]


def weighted_rows(tensors: dict[str, np.ndarray], name: str, table: np.ndarray) -> np.ndarray:
    """Each sparse row of `name` times the table."""
    at, columns = tensors[name + ".row_offsets"], tensors[name + ".columns"]
    values = tensors.get(name + ".values", np.ones(len(columns), "<f4"))
    out = np.zeros((len(at) - 1, table.shape[1]))
    np.add.at(out, np.repeat(np.arange(len(at) - 1), np.diff(at)), values[:, None] * table[columns])
    return out


def told_by_attributes(t: dict[str, np.ndarray]) -> np.ndarray:
    """[items, dim]: what the convolution says of the items' attributes; 0 of a model without one."""
    if "attribute_shape" not in t:
        return np.zeros(1)
    length, is_max, *widths = t["attribute_shape"].tolist()
    vectors = weighted_rows(t, "item_attributes", t["attribute_table"])
    x = vectors.reshape(-1, length, vectors.shape[1])
    pooled = []
    for width in widths:
        under = np.concatenate([x[:, k:length - width + 1 + k] for k in range(width)], axis=2)
        hidden = np.maximum(0, under @ t[f"attribute_filters_{width}"].T + t[f"attribute_filters_{width}_bias"])
        pooled.append(hidden.max(1) if is_max else hidden.mean(1))
    return np.concatenate(pooled, axis=1) @ t["attribute_projection"].T + t["attribute_projection_bias"]


def scores_of(model: str, t: dict[str, np.ndarray]) -> np.ndarray:
    """[users, items], but for a constant of each user."""
    if model == "factorization":
        items = weighted_rows(t, "item_bags", t["item_table"]) + told_by_attributes(t)
        return t["user_table"] @ items.T + weighted_rows(t, "item_bags", t["item_bias"]).T
    if model == "lightgcn":
        return t["users"] @ t["items"].T + t["item_bias"]
    if model == "als":
        return t["users"] @ t["items"].T
    if model == "svd":
        return t["users"] @ (t["right"] / t["scale"][:, None]).T + t["item_bias"]
    hidden = np.tanh(weighted_rows(t, "rows", t["input"]) + t["input_bias"])  # of the default autoencoder: one layer
    return hidden @ t["output"].T + t["output_bias"].T


class World:
    """Purchases with some items cold, as an import."""

    def __init__(self, program: str, plain: pathlib.Path, datasets: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace, draw: int):
        t = tensors_of(plain, "prepared")
        users, items = strings_of(t, "user_ids"), strings_of(t, "item_ids")
        judged = PERIOD[options.period]
        when, split = t["timestamp"], t["split"].copy()
        if judged == PERIOD["validation"]:  # everything a period earlier
            keep = split <= judged
            later = when > when[split == 0].max() - 28 * 86400
            split = np.where(split == 1, 2, np.where(later, 1, 0))
        else:
            keep = np.full(len(split), True)
        first = np.full(len(items), np.iinfo(np.int64).max)
        np.minimum.at(first, t["item"][keep], when[keep])
        count = len(items) // 10
        drawn = np.argsort(-np.where(first > when.max(), -1, first), kind="stable") if options.newest else np.random.default_rng(draw).permutation(len(items))
        self.is_cold = np.zeros(len(items), bool)
        self.is_cold[drawn[:count]] = True
        keep &= ~self.is_cold[t["item"]] | (split == 2)
        last = int(when[keep].max())
        with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["user", "basket", "item", "time", "quantity", "price", "split"])
            for i in np.flatnonzero(keep):
                out.writerow([users[t["user"][i]], t["basket"][i], items[t["item"][i]], when[i], t["quantity"][i], t["price"][i], list(PERIOD)[split[i]]])
            for i in np.flatnonzero(self.is_cold):
                out.writerow(["nobody", "last", items[i], last, 1, 1, "test"])
        shutil.copy(datasets / "complete_journey" / "products.csv.gz", folder)
        cold_ids = {items[i] for i in np.flatnonzero(self.is_cold)}
        for text in (False, True):
            (folder / "import.toml").write_text(CONFIG + (VECTORS if text else ""), encoding="utf-8")
            subprocess.run([program, "import", folder / "rows.csv", "--config", folder / "import.toml", "--out", folder / name_of(text), "--quiet"],
                           check=True, stdout=subprocess.DEVNULL)
        p = tensors_of(folder / name_of(False), "prepared")
        self.folder, self.users, self.items = folder, strings_of(p, "user_ids"), strings_of(p, "item_ids")
        self.cold = np.array([i for i, item in enumerate(self.items) if item in cold_ids])
        known = p["split"] < 2
        assert not np.isin(p["item"][known], self.cold).any(), "a purchase of a cold item was not hidden"
        self.bought = np.zeros((len(self.users), len(self.items)))
        np.add.at(self.bought, (p["user"][p["split"] == 0], p["item"][p["split"] == 0]), 1)
        self.wanted = np.zeros((len(self.users), len(self.items)), bool)
        self.wanted[p["user"][~known], p["item"][~known]] = True
        self.wanted[self.users.index("nobody")] = False
        self.category = p["item_category"]
        fields = json.loads((folder / name_of(False) / "manifest.json").read_text())["categorical"]
        self.product_type = p[f"categorical.{fields.index('product_type')}.codes"]

    def of_groups(self, group: np.ndarray) -> np.ndarray:
        """[users, items]: the user's purchases of the item's group."""
        sums = np.zeros((len(self.users), group.max() + 1))
        np.add.at(sums.T, group, self.bought.T)
        return sums[:, group]

    def popularity(self, group: np.ndarray) -> np.ndarray:
        """[items]: purchases of the item's group for each of its items that are not cold."""
        warm = np.setdiff1d(np.arange(len(self.items)), self.cold)
        bought = np.bincount(group[warm], self.bought.sum(0)[warm], group.max() + 1)
        return (bought / np.maximum(1, np.bincount(group[warm], minlength=group.max() + 1)))[group]

    def judge(self, scores: np.ndarray, k: int = 10) -> tuple[float, float]:
        recall, ndcg = [], []
        gain = 1 / np.log2(np.arange(2, k + 2))
        for user in np.flatnonzero(self.wanted[:, self.cold].any(1)):
            hit = self.wanted[user, self.cold][np.argsort(-scores[user, self.cold], kind="stable")[:k]]
            n = self.wanted[user, self.cold].sum()
            recall.append(hit.sum() / n)
            ndcg.append((hit * gain).sum() / gain[:min(n, k)].sum())
        return float(np.mean(recall)), float(np.mean(ndcg))

    def baselines(self, draw: int) -> dict[str, np.ndarray]:
        ones = np.ones((len(self.users), 1))
        chance = np.random.default_rng(1000 + draw).random(self.bought.shape)
        popular = self.popularity(self.category)
        tie = popular / (popular.max() + 1)  # among equals of a user what is popular
        return {"chance": chance, "purchases of the category": ones * popular + 1e-9 * chance,
                "the user's purchases of the category": self.of_groups(self.category) + tie,
                "the user's purchases of the product type": self.of_groups(self.product_type) + tie}


def name_of(text: bool) -> str:
    return "with_text" if text else "plain"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("datasets", type=pathlib.Path, help="the folder with complete_journey")
    parser.add_argument("--period", choices=["validation", "test"], default="test", help="what is judged")
    parser.add_argument("--draws", type=int, default=3, help="of the cold items")
    parser.add_argument("--newest", action="store_true", help="the newest items are cold; one draw")
    parser.add_argument("--only", nargs="+", choices=MODELS, metavar="NAME", help="leave out the other models")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    draws = 1 if options.newest else options.draws
    found: dict[str, list[tuple[float, float]]] = {}
    people = []
    with tempfile.TemporaryDirectory() as place:
        top = pathlib.Path(place)
        source = options.datasets / "complete_journey"
        subprocess.run([program, "import", source / "transactions.csv.gz", "--config", options.datasets / "complete_journey.toml", "--out", top / "data",
                        "--quiet"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, ROOT / "scripts" / "text_vectors.py", source / "products.csv.gz", "--id", "product_id", "--text", "product_type",
                        "package_size", "product_category", "department", "--out", top / "vectors"], check=True)
        for draw in range(1, draws + 1):
            folder = top / str(draw)
            folder.mkdir()
            for ending in ("npy", "txt"):
                shutil.copy(top / f"vectors.{ending}", folder)
            world = World(program, top / "data", options.datasets, folder, options, draw)
            people.append((int(world.wanted[:, world.cold].any(1).sum()), len(world.cold), len(world.items)))
            for name, scores in world.baselines(draw).items():
                found.setdefault(name, []).append(world.judge(scores))
            for name, (settings, text) in MODELS.items():
                if options.only and name not in options.only:
                    continue
                given = [part for setting in [*settings, f"run.seed={draw}"] for part in ("--set", setting)]
                subprocess.run([program, "train", folder / name_of(text), "--out", folder / "model", "--quiet", *given], check=True, stdout=subprocess.DEVNULL)
                scores = scores_of(settings[0].split("=")[1], tensors_of(folder / "model", "model"))
                found.setdefault(name, []).append(world.judge(scores))
                print(draw, name, found[name][-1], file=sys.stderr)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    users, cold, items = people[0]
    lines = [f"# Cold items, {date:%Y-%m-%d}", "", f"- {cpu_name()}, {os.cpu_count()} cores", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             f"- {cold} of {items} items are cold ({'the newest' if options.newest else 'drawn at random'}), ranked alone for {users} users of the first draw; "
             f"{options.period} period; {draws} draw{'s' if draws > 1 else ''}", "",
             "| ranking | Recall@10 | NDCG@10 |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {spread([r for r, _ in values])} | {spread([n for _, n in values])} |" for name, values in found.items()]
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
