#!/usr/bin/env python3
"""Lets single calls of the C library fail under import, train and score, or kills the process in front of them.

  failing_calls.py [--program build/cpu/bin/sheaf] [--shim build/cpu/tests/libfailing_calls.so]
                   [--runs 3] [--calls write,rename,malloc] [--steps import,train,score]

tests/faults/failing_calls.cpp is what fails them. Of every command and every call, --runs of the N calls are tried,
spread evenly; --runs 0 tries all (hours for malloc). A call fails once, or from then on. A run must end with a
documented exit code that is not 1 and with a message; the place must hold the former result, or the new one where the
run says so; and where something was left, the next command must clear it up. Exit status 1 and a line for each fault.
"""
import argparse
import collections
import pathlib
import sys
import tempfile

import kill_loop

KILLED_AT = ("mkdir", "write", "fsync", "rename", "unlink")  # every call that changes what is on the disk


def spread(n, runs):
    """1 to n, all or `runs` of them with the first and the last."""
    if runs == 0 or n <= runs:
        return list(range(1, n + 1))
    return sorted({1 + (n - 1) * k // max(1, runs - 1) for k in range(runs)})


class Walk:
    def __init__(self, place, shim):
        self.place, self.shim = place, str(shim)
        self.faults, self.codes = [], collections.Counter()

    def count(self, step):
        counts = self.place.folder / "counts"
        self.place.put_former(step)
        process = self.place.start(step.arguments, LD_PRELOAD=self.shim, SHEAF_FAIL_COUNTS=str(counts))
        said = process.communicate()[1]
        if process.returncode != 0 or not counts.exists():
            sys.exit(f"failing_calls: {step.name} under {self.shim} ended with {process.returncode}: {said}")
        return {name: int(n) for name, n in (line.split() for line in counts.read_text().splitlines())}

    def fail(self, step, wish, **more):
        self.place.put_former(step)
        process = self.place.start(step.arguments, LD_PRELOAD=self.shim, SHEAF_FAIL=wish, **more)
        said = process.communicate()[1]
        code, held, left = process.returncode, self.place.held(step), self.place.left(step)
        killed, what = wish.endswith("!"), f"{step.name}, {wish}" + "".join(f", {key}" for key in more)
        self.codes[code] += 1
        mute = wish.startswith("write") and wish.endswith("+")  # no message can arrive, and no result on stdout
        told = mute or any(words in said for words in ("is written", "standard output", "out of memory"))
        aside = bool(more) and held == "nothing" and any(name.endswith(".old") for name in left)
        if killed:
            good = held in ("former", "new") or aside
        elif code == 0:
            good = held == "new"
        else:
            good = held == "former" or (held == "new" and told) or aside
        if not good:
            self.faults.append(f"{what}: the place holds: {held} (code {code}, said: {said})")
        if code not in ((0, -9) if killed else (0, 3, 4)):
            self.faults.append(f"{what}: exit code {code}: {said}")
        if code > 0 and not said.strip() and not wish.startswith("write"):
            self.faults.append(f"{what}: code {code} without a message")
        if left or held != "new":
            self.faults += [f"{what}: {fault}" for fault in self.place.recover(step)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=kill_loop.ROOT / "build/cpu/bin/sheaf", type=pathlib.Path)
    parser.add_argument("--shim", default=kill_loop.ROOT / "build/cpu/tests/libfailing_calls.so", type=pathlib.Path)
    parser.add_argument("--runs", default=3, type=int, help="of each command and call; 0: all")
    parser.add_argument("--calls", default="", help="only these, with commas between")
    parser.add_argument("--steps", default="import,train,score", help="only these, with commas between")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sheaf-calls-") as folder:
        walk = Walk(kill_loop.Shop(folder, options.program.resolve()), options.shim.resolve())
        for step in kill_loop.STEPS:
            if step.name not in options.steps.split(","):
                continue
            for call, n in walk.count(step).items():
                if options.calls and call not in options.calls.split(","):
                    continue
                for at in spread(n, options.runs):
                    walk.fail(step, f"{call}:{at}")
                    walk.fail(step, f"{call}:{at}+")
                    if call in KILLED_AT:
                        walk.fail(step, f"{call}:{at}!")
                    if call == "rename":
                        walk.fail(step, f"{call}:{at}!", SHEAF_NO_EXCHANGE="1")
                        walk.fail(step, f"{call}:{at + 1}!", SHEAF_NO_EXCHANGE="1")
            walk.place.put_former(step)
            walk.place.recover(step)  # what the next step reads
    print("exit codes: " + ", ".join(f"{code}: {n}" for code, n in sorted(walk.codes.items())))
    for fault in walk.faults:
        print("FAULT " + fault)
    sys.exit(1 if walk.faults else 0)


if __name__ == "__main__":
    main()
