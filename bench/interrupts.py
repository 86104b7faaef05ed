#!/usr/bin/env python3
"""How soon the program ends after a SIGTERM, whatever it is doing.

    bench/interrupts.py build/cpu/bin/sheaf --users 100000 --items 20000 --lines 3000000

Makes a file of purchases, then runs each subcommand on it again and again and ends it by one SIGTERM: after 0.5 s, 1.5 s
and so on, until it finishes before. Prints a Markdown table of the longest time from the signal to the end. Exit status
1 if one took more than --most seconds, or ended with a code other than 5. `--only` names some of the commands.
"""
import argparse
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

CONFIG = """[columns]
user = "u"
basket = "b"
item = "i"
timestamp = "t"
[timestamp]
format = "%Y-%m-%d"
[split]
kind = "temporal"
validation_days = 4
test_days = 5
"""


def write_purchases(path: pathlib.Path, users: int, items: int, lines: int) -> None:
    """Baskets of about 8 items on 56 days; low numbers of items are bought more often."""
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write("u,b,i,t\n")
        basket, left, user, day = -1, 0, 0, ""
        for line in range(lines):
            if left == 0:
                basket, left = basket + 1, draw.randint(1, 15)
                user = basket if basket < users else draw.randrange(users)
                day = f"2024-{draw.randint(1, 2):02d}-{draw.randint(1, 28):02d}"
            item = line if line < items else int(items * draw.random() ** 2)
            file.write(f"u{user},b{basket},i{item},{day}\n")
            left -= 1


def commands(folder: pathlib.Path) -> dict[str, list[str]]:
    data, model, out = str(folder / "data"), str(folder / "model"), str(folder / "o")
    train = ["train", data, "--out", out, "--set", "model.epochs=3"]
    by = ["associate", data, "--out", out, "--by"]
    return {
        "import": ["import", str(folder / "big.csv"), "--config", str(folder / "big.toml"), "--out", out],
        "train softmax": train,
        "train bpr": [*train, "--set", "model.loss=bpr"],
        "train additive bce": [*train, "--set", "model.preference=additive", "--set", "model.loss=bce"],
        "train sasrec": [*train, "--set", "model.preference=sasrec"],
        "train sasrec sampled": [*train, "--set", "model.preference=sasrec", "--set", "model.loss=sampled_softmax"],
        "train personal": [*train, "--set", "model.preference=personal"],
        "train ease": [*train, "--set", "model.preference=ease"],
        "associate lift": [*by, "lift"],
        "associate cosine": [*by, "cosine", "--model", model],
        "associate gcn": [*by, "gcn", "--model", model],
        "search": ["search", data, "--model", model, "--out", out],
        "score": ["score", data, "--model", model, "--out", out],
        "evaluate": ["evaluate", data, "--model", model, "--out", out],
        "complete": ["complete", data, "--items", "i1,i2"],
    }


def end_after(program: str, words: list[str], wait: float, trace: bool) -> tuple[float, int, str]:
    """Seconds from the signal to the end (-1: it ended before), exit code, what it said last."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=said, text=True)
        try:
            return -1.0, process.wait(wait), ""
        except subprocess.TimeoutExpired:
            pass
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        if trace:
            try:
                process.wait(0.7)
            except subprocess.TimeoutExpired:
                place = subprocess.run(["gdb", "-p", str(process.pid), "-batch", "-ex", "bt 14"], capture_output=True, text=True)
                print(f"{wait} s: {place.stdout}", file=sys.stderr)
        process.wait()
        seconds = time.monotonic() - start
        said.seek(0)
        messages = [line for line in said.read().splitlines() if line.startswith("sheaf ")]
        return seconds, process.returncode, messages[-1] if messages else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--lines", type=int, default=3_000_000)
    parser.add_argument("--step", type=float, default=1.0, help="seconds between two moments of the signal")
    parser.add_argument("--longest", type=float, default=20.0, help="the last moment, in seconds")
    parser.add_argument("--most", type=float, default=1.0, help="seconds that an end may take")
    parser.add_argument("--folder", type=pathlib.Path, help="keeps the data here, for another run")
    parser.add_argument("--only", nargs="*", help="these commands only")
    parser.add_argument("--trace", action="store_true", help="print where a slow one is, by gdb")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "model").exists():
            write_purchases(folder / "big.csv", options.users, options.items, options.lines)
            (folder / "big.toml").write_text(CONFIG, encoding="utf-8")
            for words in (["import", folder / "big.csv", "--config", folder / "big.toml", "--out", folder / "data"],
                          ["train", folder / "data", "--out", folder / "model", "--set", "model.loss=bpr", "--set", "model.epochs=1"]):
                subprocess.run([options.program, *map(str, words), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        print("| command | signals | longest, s | sent after, s | it said |\n| --- | ---: | ---: | ---: | --- |")
        for name, words in commands(folder).items():
            if options.only and name not in options.only:
                continue
            wait, ends = 0.5, []
            while wait <= options.longest:
                seconds, code, said = end_after(options.program, words, wait, options.trace)
                if seconds < 0:
                    break
                ends.append((seconds, wait, said))
                good = good and code in (0, 5) and seconds <= options.most
                wait += options.step
            seconds, sent, said = max(ends, default=(0.0, 0.0, "it ended before any signal"))
            print(f"| {name} | {len(ends)} | {seconds:.2f} | {sent:.1f} | {said} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
