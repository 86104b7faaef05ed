#!/usr/bin/env python3
"""Kills trainings at random times and takes them up again until they end: the model must be the one of a training that
was never killed, byte for byte.

  resume_loop.py [--program build/cpu/bin/sheaf] [--kills 200] [--seed 1] [--only NAME...]

Of each model that trains by epochs, with each of its losses, until it was killed --kills times. One kill in four is one
of the signals that end the work in good order (SIGHUP, SIGINT, SIGTERM), the others are SIGKILL. Exit status 1 and a
line for each fault.
"""
import argparse
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import kill_loop

SETTINGS = ["run.threads=1", "model.dim=8", "model.epochs=40", "model.patience=0", "model.validate_every=2"]
# By name: settings of the model. Long enough to be killed on the way.
MODELS = {
    "factorization": ["model.preference=factorization", "model.epochs=100"],
    "factorization, bpr": ["model.preference=factorization", "model.loss=bpr", "model.epochs=80"],
    "additive, bce": ["model.preference=additive", "model.loss=bce", "model.epochs=80"],
    "sasrec": ["model.preference=sasrec", "sasrec.layers=1", "sasrec.feed_forward=16"],
    "sasrec, sampled_softmax": ["model.preference=sasrec", "model.loss=sampled_softmax", "sasrec.layers=1", "sasrec.feed_forward=16"],
    "gru": ["model.preference=gru"],
    "lstm": ["model.preference=lstm"],
    "lightgcn": ["model.preference=lightgcn", "model.epochs=60"],
    "autoencoder": ["model.preference=autoencoder", "autoencoder.hidden=16", "model.epochs=60"],
    "fusion": ["model.preference=fusion", "fusion.patience=0", "fusion.hidden=8", "fusion.windows=1", "model.epochs=100"],
}


class Trainings:
    def __init__(self, folder, program):
        self.folder, self.program = pathlib.Path(folder), program
        (self.folder / "shop.csv").write_text(kill_loop.shop())
        (self.folder / "shop.toml").write_text(kill_loop.TOML.replace("validation_days = 0", "validation_days = 6"))
        self.must("import", "shop.csv", "--config", "shop.toml", "--out", "data")

    def start(self, *arguments):
        return subprocess.Popen([self.program, *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def must(self, *arguments):
        process = self.start(*arguments)
        said = process.communicate()[1]
        if process.returncode != 0:
            sys.exit(f"sheaf {' '.join(arguments)} ended with {process.returncode}: {said}")

    def model(self, name):
        """The model's files by name, and nothing beside them."""
        files = {path.name: path.read_bytes() for path in (self.folder / name).iterdir()}
        left = [path.name for path in self.folder.glob(name + ".*")]
        return files, left

    def clear(self, name):
        for path in self.folder.glob(name + "*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def kill_until_it_ends(place, words, seconds, draw, most):
    """(kills, faults) of one training that is killed at most `most` times on the way."""
    kills, faults = 0, []
    place.clear("model")
    while True:
        process = place.start("train", "data", "--out", "model", "--resume", "--checkpoint-seconds", "0", *words)
        if kills < most:
            try:
                process.wait(draw.uniform(0.0, 0.8) * seconds)
            except subprocess.TimeoutExpired:
                number = signal.SIGKILL if draw.randrange(4) else draw.choice([signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
                process.send_signal(number)
                said = process.communicate()[1]
                kills += 1
                if process.returncode not in (0, 5, -number):
                    faults.append(f"exit code {process.returncode}: {said}")
                if process.returncode != 0:
                    continue
        said = process.communicate()[1]
        if process.returncode != 0:
            faults.append(f"exit code {process.returncode}: {said}")
        return kills, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=kill_loop.ROOT / "build/cpu/bin/sheaf", type=pathlib.Path)
    parser.add_argument("--kills", default=200, type=int, help="of each model")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--only", nargs="+", choices=MODELS, metavar="NAME")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    all_faults = 0
    with tempfile.TemporaryDirectory(prefix="sheaf-resumes-") as folder:
        place = Trainings(folder, options.program.resolve())
        for name in options.only or MODELS:
            words = [f"--set={setting}" for setting in SETTINGS + MODELS[name]]
            place.clear("whole")
            start = time.monotonic()
            place.must("train", "data", "--out", "whole", "--checkpoint-seconds", "0", *words)
            seconds = time.monotonic() - start
            whole = place.model("whole")[0]
            kills, trainings, faults = 0, 0, []
            while kills < options.kills:
                trainings += 1
                killed, wrong = kill_until_it_ends(place, words, seconds, draw, min(8, options.kills - kills))
                kills += killed
                files, left = place.model("model") if not wrong else ({}, [])
                if not wrong and files != whole:
                    wrong = [f"after {killed} kills the model is another one"]
                if left:
                    wrong.append(f"left {left} beside the model")
                faults += [f"training {trainings}: {fault}" for fault in wrong]
            print(f"{name:26}{kills:6} kills in {trainings:4} trainings of {seconds:.2f} s: {len(faults)} faults", flush=True)
            for fault in faults:
                print("FAULT " + fault)
            all_faults += len(faults)
    sys.exit(1 if all_faults else 0)


if __name__ == "__main__":
    main()
