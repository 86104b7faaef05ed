#!/usr/bin/env python3
"""Kills import, train and score at random times. After each kill the place must hold the former result or the new one,
whole by its checksums, or nothing; and the next command must bring the new result and clear up what the killed one left.

  kill_loop.py [--program build/cpu/bin/sheaf] [--kills 20] [--seed 1]

A kill is SIGKILL, or one of the signals that end the work in good order (SIGHUP, SIGINT, SIGTERM), which may leave
nothing beside the place. With the libraries of tests/faults, failing_calls.py is the same for each call by itself.
Exit status 1 and a line for each fault.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMALL = [f"--set={setting}" for setting in (
    "run.threads=1", "model.dim=8", "model.epochs=3", "search.candidates=12", "search.rounds=1",
    "search.local_searches=1", "search.iterations=4", "search.min_categories=1")]
TOML = """[source]
name = "shop"
[columns]
user = "u"
basket = "b"
item = "i"
timestamp = "t"
[timestamp]
format = "%Y-%m-%d"
[split]
validation_days = 0
test_days = 5
"""
CHECKSUM = '"' + "0" * 64 + '"'


def shop():
    """Purchases of 12 users in 40 days, as text."""
    draw = random.Random(7)
    lines = ["u,b,i,t"]
    for basket in range(150):
        user = draw.randrange(12)
        for item in draw.sample(range(16), 3):
            lines.append(f"u{user},b{basket},i{(item + 8 * (user % 2)) % 20},2024-{1 + basket // 100:02}-{1 + basket % 28:02}")
    return "\n".join(lines) + "\n"


class Step:
    """A command, the folder that it writes, and what makes a former result there that differs from the new one."""

    def __init__(self, name, place, arguments, former):
        self.name, self.place, self.arguments, self.former = name, place, arguments, former


STEPS = (
    Step("import", "data", ["import", "shop.csv", "--config", "shop.toml", "--out", "data"],
         ["import", "shop.csv", "--config", "former.toml", "--out", "data"]),
    Step("train", "model", ["train", "data", "--out", "model", *SMALL],
         ["train", "data", "--out", "model", "--seed", "2", *SMALL]),
    Step("score", "scores", ["score", "data", "--model", "model", "--out", "scores", *SMALL],
         ["score", "data", "--model", "model", "--out", "scores", "--seed", "2", *SMALL]),
)


def fault_of(place):
    """What is wrong with a folder that must be whole, or None. Its own check, not the program's."""
    try:
        text = (place / "manifest.json").read_text()
        manifest = json.loads(text)
        own = manifest["sha256"]
        if hashlib.sha256(text.replace(f'"{own}"', CHECKSUM).encode()).hexdigest() != own:
            return "the manifest's checksum is wrong"
        for name, sealed in manifest["files"].items():
            if hashlib.sha256((place / name).read_bytes()).hexdigest() != sealed["sha256"]:
                return f"the checksum of {name} is wrong"
        found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
        if found != {"manifest.json", *manifest["files"]}:
            return f"the files are {sorted(found)}"
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return None


class Shop:
    """A folder with purchases, the results of all steps, and for each step a copy of the former and the new result."""

    def __init__(self, folder, program):
        self.folder, self.program = pathlib.Path(folder), program
        (self.folder / "shop.csv").write_text(shop())
        (self.folder / "shop.toml").write_text(TOML)
        (self.folder / "former.toml").write_text(TOML.replace('"shop"', '"former"'))
        self.seconds = {}
        for step in STEPS:
            self.run(step.former)
            self.keep(step, "former")
            start = time.monotonic()
            self.run(step.arguments)
            self.seconds[step.name] = time.monotonic() - start
            self.keep(step, "new")

    def start(self, arguments, **more):
        # Without these two variables the program would start itself a second time, or count calls of idle threads.
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1", **more}
        return subprocess.Popen([self.program, *arguments], cwd=self.folder, env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, arguments):
        process = self.start(arguments)
        said = process.communicate()[1]
        if process.returncode != 0:
            sys.exit(f"sheaf {' '.join(arguments)} ended with {process.returncode}: {said}")
        return said

    def kept(self, step, which):
        return self.folder / "kept" / f"{step.place}-{which}"

    def keep(self, step, which):
        shutil.copytree(self.folder / step.place, self.kept(step, which))

    def put_former(self, step):
        """The place as it was before the step."""
        self.clear(step)
        shutil.copytree(self.kept(step, "former"), self.folder / step.place)

    def clear(self, step):
        for path in self.folder.glob(step.place + "*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def held(self, step):
        """("former", "new", "nothing" or what is wrong)"""
        place = self.folder / step.place
        if not place.exists():
            return "nothing"
        fault = fault_of(place)
        if fault:
            return fault
        manifest = (place / "manifest.json").read_bytes()
        for which in ("former", "new"):
            if manifest == (self.kept(step, which) / "manifest.json").read_bytes():
                return which
        return "the result is neither the former nor the new one"

    def left(self, step):
        return sorted(path.name for path in self.folder.glob(step.place + ".*"))

    def recover(self, step):
        """The next command: faults as a list of texts."""
        left = self.left(step)
        said = self.run(step.arguments)
        faults = []
        if self.held(step) != "new":
            faults.append(f"the next command left: {self.held(step)}")
        if self.left(step):
            faults.append(f"the next command left {self.left(step)} beside the place")
        if any(".partial-" in name for name in left) and "note: " not in said:
            faults.append(f"the next command cleared up {left} without a word: {said}")
        return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build/cpu/bin/sheaf", type=pathlib.Path)
    parser.add_argument("--kills", default=20, type=int, help="of each of the three commands")
    parser.add_argument("--seed", default=1, type=int)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    faults, counts = [], {}
    with tempfile.TemporaryDirectory(prefix="sheaf-kills-") as folder:
        place = Shop(folder, options.program.resolve())
        for step in STEPS:
            for number in range(options.kills):
                (place.put_former if number % 2 else place.clear)(step)
                number_of_signal = signal.SIGKILL if number % 4 < 2 else draw.choice([signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
                process = place.start(step.arguments)
                time.sleep(draw.uniform(0.0, 1.1) * place.seconds[step.name])
                process.send_signal(number_of_signal)
                said = process.communicate()[1]
                held, left = place.held(step), place.left(step)
                what = f"{step.name}, kill {number} by {number_of_signal.name}"
                allowed = {"new"} if process.returncode == 0 else {"new", "former" if number % 2 else "nothing"}
                if held not in allowed:
                    faults.append(f"{what}: {held}")
                # A signal before the program catches it ends it at once; nothing is there then.
                if process.returncode not in (0, 5, -number_of_signal):
                    faults.append(f"{what}: exit code {process.returncode}: {said}")
                if left and number_of_signal != signal.SIGKILL:
                    faults.append(f"{what}: left {left}")
                faults += [f"{what}: {fault}" for fault in place.recover(step)]
                key = f"{held}, " + ("something left" if left else "nothing left")
                counts[key] = counts.get(key, 0) + 1
        for step in STEPS:
            place.run(step.arguments)
    for key, count in sorted(counts.items()):
        print(f"{count:5} kills: {key}")
    for fault in faults:
        print("FAULT " + fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
