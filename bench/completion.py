#!/usr/bin/env python3
"""Measures `sheaf complete` and `sheaf search --like` on bundles that people made, and `sheaf complete` on baskets.

    bench/completion.py build/cpu/bin/sheaf --bundlerec DATA/bundlerec --out completion.md

bundlerec holds folders (electronic, clothing) with bundle_item.csv, item_titles.csv and item_categories.csv. Of each, a
random fifth of the bundles is the test. An item of each test bundle is hidden and the whole catalog is ranked for the
rest. Settings are chosen on folds cut from the training bundles; the test is scored once with what was chosen. Nothing
of sessions, users or times is read: a bundle was made from a session, so that a session tells what is hidden. Items are
renumbered at random, for neighbouring ids often come from one session. Needs numpy. Prints a Markdown page.
"""
import argparse
import csv
import datetime
import html
import json
import math
import os
import pathlib
import re
import struct
import subprocess
import tempfile

import numpy as np

from end_to_end import cpu_name, put_page

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMPORT = """[source]
name = "{name}"
currency = "none"
[columns]
item = "item"
basket = "basket"
[items]
file = "items.csv"
key = "item"
name = ["title"]
category = "category"
[clean]
require_user = false
require_positive_price = false
[split]
kind = "given"
column = "split"
"""
SPLITS = (1, 2, 3, 4, 5)
SHRINKAGES, TEXT_WEIGHTS = (0.1, 0.25, 0.5, 1.0), (0.1, 0.2, 0.3, 0.5)
NEVER = 1e6  # a shrinkage that makes all items alike: plain sums of counts and words
# name, shrinkages and text weights to choose from
RUNGS = (
    ("counts of training bundles", (NEVER,), (0,)),
    ("their cosines, shrunk", (0.1, 0.25, 0.5, 1.0, 2.0, 5.0), (0,)),
    ("words alone", (NEVER,), (NEVER,)),
    ("counts and words, not shrunk", (NEVER,), (0.3, 1, 3, 10, 30)),
    ("`sheaf complete`: counts shrunk towards words", SHRINKAGES, TEXT_WEIGHTS),
)


class Sheaf:
    def __init__(self, program: str, device: str):
        self.program, self.device = program, device

    def __call__(self, *arguments: object) -> str:
        command = [self.program, *map(str, arguments), "--quiet", "--device", self.device]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write_csv(path: pathlib.Path, header: list[str], rows: list) -> pathlib.Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_bundles(path: pathlib.Path, bundles: dict) -> pathlib.Path:
    return write_csv(path, ["bundle", "item"], [(name, item) for name, items in bundles.items() for item in items])


def read_rows(path: pathlib.Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def load_bundles(folder: pathlib.Path, out: pathlib.Path, sheaf: Sheaf) -> tuple[list[list[str]], pathlib.Path]:
    """Bundles with renumbered items, and the prepared set of the catalog: each item once, in a basket of its own."""
    titles = {item: html.unescape(title) for item, title in read_rows(folder / "item_titles.csv")}
    # Paths of names; a comma within a name has a blank behind it.
    categories = {row[0]: "; ".join(" > ".join(re.split(r",(?! )", html.unescape(path))) for path in ",".join(row[1:]).strip()[2:-2].split("],["))
                  for row in read_rows(folder / "item_categories.csv")}
    order = np.random.RandomState(0).permutation(len(titles))
    number = {item: f"i{place:05d}" for item, place in zip(sorted(titles), order)}
    bundles: dict[int, list[str]] = {}
    for bundle, item in read_rows(folder / "bundle_item.csv"):
        bundles.setdefault(int(bundle), []).append(number[item])
    out.mkdir()
    write_csv(out / "items.csv", ["item", "title", "category"], [(number[i], titles[i], categories[i]) for i in sorted(titles)])
    write_csv(out / "purchases.csv", ["item", "basket", "split"], [(number[i], number[i], "train") for i in sorted(titles)])
    (out / "import.toml").write_text(IMPORT.format(name=folder.name), encoding="utf-8")
    sheaf("import", out / "purchases.csv", "--config", out / "import.toml", "--out", out / "data")
    return [bundles[key] for key in sorted(bundles)], out / "data"


def cut(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four fifths and a fifth of n, at random."""
    order = np.random.RandomState(seed).permutation(n)
    return order[round(n * 0.2):], order[:round(n * 0.2)]


def partial_bundles(bundles: list[list[str]], chosen: np.ndarray) -> tuple[dict, dict]:
    """Each bundle without each of its items in turn, and what was hidden."""
    rests, hidden = {}, {}
    for bundle in chosen:
        for place, item in enumerate(bundles[bundle]):
            rests[f"{bundle}:{place}"] = [other for other in bundles[bundle] if other != item]
            hidden[f"{bundle}:{place}"] = item
    return rests, hidden


def ranks_of(lines: str, hidden: dict) -> dict[str, int]:
    """Place of the hidden item among the ten best, from 0; 10 for none."""
    ranks = {}
    for line in lines.splitlines():
        answer = json.loads(line)
        items = [one["item"] for one in answer["items"]][:10]
        ranks[answer["bundle"]] = items.index(hidden[answer["bundle"]]) if hidden[answer["bundle"]] in items else 10
    return ranks


def gain(rank: int) -> float:
    return 1 / math.log2(rank + 2) if rank < 10 else 0.0


def all_places(ranks: dict[str, int]) -> tuple[float, float]:
    """R@10 and N@10: the mean over a bundle's items, then over bundles."""
    of: dict[str, list[int]] = {}
    for name, rank in ranks.items():
        of.setdefault(name.split(":")[0], []).append(rank)
    return (float(np.mean([np.mean([r < 10 for r in own]) for own in of.values()])),
            float(np.mean([np.mean([gain(r) for r in own]) for own in of.values()])))


def one_place(ranks: dict[str, int], seed: int) -> tuple[list[bool], list[float]]:
    """The same with one item of each bundle hidden, drawn at random."""
    of: dict[str, list[int]] = {}
    for name, rank in ranks.items():
        of.setdefault(name.split(":")[0], []).append(rank)
    draw = np.random.RandomState(1000 + seed)
    drawn = [own[draw.randint(len(own))] for _, own in sorted(of.items(), key=lambda one: int(one[0]))]
    return [r < 10 for r in drawn], [gain(r) for r in drawn]


class Completions:
    def __init__(self, sheaf: Sheaf, data: pathlib.Path, bundles: list[list[str]], work: pathlib.Path):
        self.sheaf, self.data, self.bundles, self.work = sheaf, data, bundles, work

    def ranks(self, train: np.ndarray, held: np.ndarray, shrinkage: float, text_weight: float) -> dict[str, int]:
        rests, hidden = partial_bundles(self.bundles, held)
        given = write_bundles(self.work / "given.csv", {b: self.bundles[b] for b in train})
        partial = write_bundles(self.work / "partial.csv", rests)
        return ranks_of(self.sheaf("complete", self.data, "--like", given, "--file", partial, "--k", 10, "--set",
                                   f"complete.shrinkage={shrinkage}", "--set", f"complete.text_weight={text_weight}"), hidden)

    def choose(self, train: np.ndarray, seed: int, shrinkages: tuple, weights: tuple, n_folds: int) -> tuple[float, float]:
        """The settings of the highest N@10 on the folds."""
        settings = [(k, w) for k in shrinkages for w in weights]
        if len(settings) == 1:
            return settings[0]
        folds = np.array_split(np.random.RandomState(100 + seed).permutation(train), 5)[:n_folds]
        score = {s: np.mean([all_places(self.ranks(np.setdiff1d(train, fold), fold, *s))[1] for fold in folds]) for s in settings}
        return max(settings, key=lambda s: score[s])


    def lists(self, train: np.ndarray, held: np.ndarray, settings: tuple[float, float], length: int) -> tuple[dict, dict]:
        rests, hidden = partial_bundles(self.bundles, held)
        given = write_bundles(self.work / "given.csv", {b: self.bundles[b] for b in train})
        partial = write_bundles(self.work / "partial.csv", rests)
        out = self.sheaf("complete", self.data, "--like", given, "--file", partial, "--k", length, "--set", f"complete.shrinkage={settings[0]}",
                         "--set", f"complete.text_weight={settings[1]}")
        return {(one := json.loads(line))["bundle"]: [item["item"] for item in one["items"]] for line in out.splitlines()}, hidden


def origin_lines(sheaf: Sheaf, folder: pathlib.Path, work: pathlib.Path) -> list[str]:
    """Where the shrinkage gains: items of training bundles among themselves, the others among themselves, on a validation fold."""
    bundles, data = load_bundles(folder, work / f"{folder.name}-origin", sheaf)
    runs = Completions(sheaf, data, bundles, work)
    train, _ = cut(len(bundles), 1)
    fold = np.array_split(np.random.RandomState(101).permutation(train), 5)[0]
    rest = np.setdiff1d(train, fold)
    seen = {item for bundle in rest for item in bundles[bundle]}
    lines = []
    for name, settings in (("counts and words, not shrunk", (NEVER, 1)), ("`sheaf complete`", (0.25, 0.3))):
        lists, hidden = runs.lists(rest, fold, settings, 1000)
        row = []
        for known in (True, False):
            names = [n for n in hidden if (hidden[n] in seen) == known]
            row.append(np.mean([hidden[n] in [item for item in lists[n] if (item in seen) == known][:10] for n in names]))
        everything = np.mean([hidden[n] in lists[n][:10] for n in hidden])
        lines.append(f"| {folder.name} | {name} | {everything:.3f} | {row[0]:.3f} | {row[1]:.3f} |")
    return lines


def popular(bundles: list[list[str]], train: np.ndarray, held: np.ndarray) -> dict[str, int]:
    counts: dict[str, int] = {}
    for bundle in train:
        for item in bundles[bundle]:
            counts[item] = counts.get(item, 0) + 1
    order = sorted(counts, key=lambda item: (-counts[item], item))
    rests, hidden = partial_bundles(bundles, held)
    ranks = {}
    for name, rest in rests.items():
        best = [item for item in order[:10 + len(rest)] if item not in rest][:10]
        ranks[name] = best.index(hidden[name]) if hidden[name] in best else 10
    return ranks


def completion_lines(sheaf: Sheaf, folder: pathlib.Path, work: pathlib.Path) -> list[str]:
    bundles, data = load_bundles(folder, work / folder.name, sheaf)
    runs = Completions(sheaf, data, bundles, work)
    lines, spread = [], {}
    for seed in SPLITS:
        train, test = cut(len(bundles), seed)
        results = [("popularity", "", popular(bundles, train, test))]
        for name, shrinkages, weights in RUNGS:
            k, w = runs.choose(train, seed, shrinkages, weights, 5 if seed == 1 else 1)
            results.append((name, f"{k:g}, {w:g}", runs.ranks(train, test, k, w)))
        for name, settings, ranks in results:
            spread.setdefault(name, []).append((settings, all_places(ranks)))
        if seed > 1:
            continue
        seen = {item for bundle in train for item in bundles[bundle]}
        lines += [f"## {folder.name}: {len(bundles)} bundles, {sum(1 for _ in (work / folder.name / 'items.csv').open(encoding='utf-8')) - 1} items", "",
                  f"{len(train)} bundles to learn from, {len(test)} of the test; of their items {100 * np.mean([i not in seen for b in test for i in bundles[b]]):.0f} % are in no training bundle.", "",
                  "| what ranks | shrinkage, text weight | R@10 | N@10 | s.e. of R | R@10, each item hidden | N@10 |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
        for name, settings, ranks in results:
            hits, gains = one_place(ranks, seed)
            recall, ndcg = all_places(ranks)
            error = np.std(hits) / math.sqrt(len(hits))
            lines.append(f"| {name} | {settings} | {np.mean(hits):.3f} | {np.mean(gains):.3f} | {error:.3f} | {recall:.3f} | {ndcg:.3f} |")
    lines += ["", "Five random splits, each item hidden in turn: mean, and from .. to.", "",
              "| what ranks | R@10 | N@10 | settings of the splits |", "| --- | ---: | ---: | --- |"]
    for name, rows in spread.items():
        recall, ndcg = np.array([r for _, (r, _) in rows]), np.array([n for _, (_, n) in rows])
        settings = "" if name == "popularity" else "; ".join(s for s, _ in rows)
        lines.append(f"| {name} | {recall.mean():.3f} ({recall.min():.3f} .. {recall.max():.3f}) | {ndcg.mean():.3f} ({ndcg.min():.3f} .. {ndcg.max():.3f}) | {settings} |")
    train, test = cut(len(bundles), 1)
    return [*lines, "", *like_lines(sheaf, data, bundles, train, test, work, spread[RUNGS[-1][0]][0][0])]


def shares_two(sets: list[set], bundles: list[list[str]], test: np.ndarray) -> float:
    return float(np.mean([any(len(one & set(bundles[b])) >= 2 for one in sets) for b in test]))


def like_lines(sheaf: Sheaf, data: pathlib.Path, bundles: list[list[str]], train: np.ndarray, test: np.ndarray, work: pathlib.Path,
               settings: str) -> list[str]:
    given = write_bundles(work / "given.csv", {b: bundles[b] for b in train})
    k, w = settings.split(", ")

    def made(count: int, weight: str) -> list[set]:
        out = sheaf("search", data, "--like", given, "--out", work / "like", "--json", "--seed", 1, "--set", f"search.bundles={count}", "--set",
                    f"complete.shrinkage={k}", "--set", f"complete.text_weight={weight}")
        return [{item["id"] for item in json.loads(line)["items"]} for line in out.splitlines()]

    together: dict[tuple, int] = {}
    for bundle in train:
        items = sorted(bundles[bundle])
        for place, item in enumerate(items):
            for other in items[place + 1:]:
                together[item, other] = together.get((item, other), 0) + 1
    pairs = sorted(together, key=lambda pair: (-together[pair], pair))
    lines = ["New bundles: of the test bundles, how many have two of their items in one of them.", "",
             "| bundles | how many | held | of test bundles with two in one |", "| --- | ---: | ---: | ---: |"]
    for count in (len(test), len(train)):
        drawn = np.random.RandomState(7).permutation(train)[:count]
        new = made(count, w)
        again = [set(bundles[b]) for b in drawn]
        rows = [("training bundles again" + (", drawn at random" if count < len(train) else ""), again),
                ("pairs most often together", [set(pair) for pair in pairs[:count]]),
                ("`search --like` by counts alone, no copies", made(count, "0") if count < len(train) else []),
                ("`search --like`, no copies", new),
                ("both: training bundles and the new ones", again + new if count == len(train) else [])]
        lines += [f"| {name} | {len(sets)} | {np.mean([len(s) for s in sets]):.1f} items | {100 * shares_two(sets, bundles, test):.1f} % |"
                  for name, sets in rows if sets]
    return [*lines, ""]


def tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    types = {"I32": np.int32, "I64": np.int64, "U8": np.uint8}
    return {name: np.frombuffer(blob[8 + length + of["data_offsets"][0]:8 + length + of["data_offsets"][1]], types[of["dtype"]])
            for name, of in json.loads(blob[8:8 + length]).items() if name != "__metadata__" and of["dtype"] in types}


def basket_lines(sheaf: Sheaf, work: pathlib.Path) -> list[str]:
    """One item of each basket hidden, on the purchases that ship inside."""
    source = ROOT / "datasets"
    data = work / "journey"
    sheaf("import", source / "complete_journey/transactions.csv.gz", "--config", source / "complete_journey.toml", "--out", data)
    sheaf("train", data, "--out", work / "model", "--json", "--seed", 1)
    t = tensors(data / "prepared.safetensors")
    ids = {}
    for kind in ("item", "user"):
        at, text = t[f"{kind}_ids.offsets"], t[f"{kind}_ids.bytes"].tobytes()
        ids[kind] = [text[a:b].decode() for a, b in zip(at[:-1], at[1:])]

    def hide(split: int) -> tuple[pathlib.Path, dict]:
        baskets: dict[int, tuple[int, list[int]]] = {}
        for row in np.flatnonzero(t["split"] == split):
            items = baskets.setdefault(int(t["basket"][row]), (int(t["user"][row]), []))[1]
            if t["item"][row] not in items:
                items.append(int(t["item"][row]))
        draw, rows, hidden = np.random.RandomState(split), [], {}
        for basket, (user, items) in sorted(baskets.items()):
            if len(items) < 2:
                continue
            away = items[draw.randint(len(items))]
            hidden[str(basket)] = ids["item"][away]
            rows += [(basket, ids["item"][i], ids["user"][user]) for i in items if i != away]
        return write_csv(work / f"baskets{split}.csv", ["bundle", "item", "user"], rows), hidden

    def score(split: int, settings: dict) -> tuple[np.ndarray, np.ndarray]:
        path, hidden = hide(split)
        options = [part for name, value in settings.items() for part in ("--set", f"complete.{name}={value}")]
        ranks = ranks_of(sheaf("complete", data, "--model", work / "model", "--file", path, "--k", 10, *options), hidden)
        return np.array([r < 10 for r in ranks.values()]), np.array([gain(r) for r in ranks.values()])

    def grid(shrinkages: tuple, weights: tuple, users: tuple) -> list[dict]:
        return [{"shrinkage": k, "text_weight": w, "user_weight": u} for k in shrinkages for w in weights for u in users]

    rungs = (("counts of training baskets", grid((NEVER,), (0,), (0,))),
             ("their cosines, shrunk", grid((1, 3, 10, 30, 100), (0,), (0,))),
             ("and words", grid((3, 10, 30, 100), (0.3, 1, 3), (0,))),
             ("the user's chances alone", grid((NEVER,), (0,), (NEVER,))),
             ("`sheaf complete --user`", grid((3, 10, 30), (0.3, 1, 3), (0.1, 0.2, 0.4, 0.8))))
    lines = []
    for name, settings in rungs:
        best = settings[0] if len(settings) == 1 else max(settings, key=lambda s: score(1, s)[1].mean())
        hits, gains = score(2, best)
        lines.append(f"| {name} | {', '.join(f'{v:g}' for v in best.values())} | {hits.mean():.4f} | {gains.mean():.4f} | {hits.std() / math.sqrt(len(hits)):.4f} |")
    usual = score(2, {"shrinkage": 0})
    lines.append(f"| `sheaf complete --user`, settings as they come | | {usual[0].mean():.4f} | {usual[1].mean():.4f} | {usual[0].std() / math.sqrt(len(usual[0])):.4f} |")
    return [f"## Baskets of the shipped data: one item of each of {len(usual[0])} test baskets hidden", "",
            "Learned from the training baskets; settings chosen on the baskets of the validation period. The user's chances are those of `sheaf train`.", "",
            "| what ranks | shrinkage, text weight, user weight | R@10 | N@10 | s.e. of R |", "| --- | --- | ---: | ---: | ---: |", *lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheaf", type=pathlib.Path, help="the program")
    parser.add_argument("--bundlerec", type=pathlib.Path, help="folder with the folders electronic and clothing; without it the baskets alone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--origin", action="store_true", help="print only the section on where the shrinkage gains")
    parser.add_argument("--out", type=pathlib.Path, help="write the page here instead of to stdout")
    options = parser.parse_args()
    program = str(options.sheaf.resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    date = datetime.datetime.now(datetime.timezone.utc)
    sheaf = Sheaf(program, options.device)
    lines = [f"# Completion of bundles and baskets, {date:%Y-%m-%d}", "",
             f"- {cpu_name()}, {os.cpu_count()} cores, device {options.device}", f"- {version}, {date:%Y-%m-%dT%H:%M:%SZ}",
             "- full catalog; settings chosen by N@10 on folds of the training bundles (five for the first split, one for the others), the test scored once with them", ""]
    origin = ["## Where the shrinkage gains", "",
              "R@10 on one validation fold, each item hidden in turn: the whole catalog; hidden items of training bundles among those of training bundles;",
              "hidden items of none among those of none. Every item of these sets is in some bundle, so one of no training bundle is in a held-out one.", "",
              "| data | what ranks | whole catalog | in training bundles | in none |", "| --- | --- | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as folder:
        if options.bundlerec:
            for name in ("electronic", "clothing"):
                origin += origin_lines(sheaf, options.bundlerec / name, pathlib.Path(folder))
        if options.origin:
            put_page(origin, options.out)
            return
        for name in ("electronic", "clothing") if options.bundlerec else ():
            lines += completion_lines(sheaf, options.bundlerec / name, pathlib.Path(folder))
        lines += basket_lines(sheaf, pathlib.Path(folder))
        lines += origin if options.bundlerec else []
    put_page(lines, options.out)


if __name__ == "__main__":
    main()
