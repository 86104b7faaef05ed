#!/usr/bin/env python3
"""The least time that each line of a run takes where only its compulsory bytes count, on a device that copies so many GB/s.

  bench/floors.py RUN.json... --gb-per-s 3000 [--filter REGEX]

Prints a Markdown table: the bytes, the floor on that device, and what the run's own machine reached of the copy that it
measured.
"""
import argparse
import json
import pathlib
import re


def row(line: dict, copy: float, gb_per_s: float) -> str:
    floor_us = line["bytes"] / gb_per_s / 1e3
    here = "wrong" if "fault" in line else f"{line['gb_per_s']:.1f} | {100 * line['gb_per_s'] / copy:.0f} %"
    cold = "" if "fault" in line else f"{100 * line['bytes'] / line['cold']['median_s'] / 1e9 / copy:.0f} %"
    rate = "" if "fault" in line else f"{line['units_per_s'] / 1e6:.0f}"
    return f"| `{line['name']}` | {line['bytes'] / 1e6:.1f} | {floor_us:.1f} | {here} | {cold} | {rate} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--gb-per-s", type=float, required=True, help="what the other device copies, read and written bytes")
    parser.add_argument("--filter", default="", help="only lines whose name this regular expression finds")
    options = parser.parse_args()
    print(f"| shape | compulsory MB | floor at {options.gb_per_s:.0f} GB/s, us | GB/s here | of the copy, warm | cold | M units/s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path in options.runs:
        run = json.loads(path.read_text())
        for line in run["benchmarks"]:
            if re.search(options.filter, line["name"]):
                print(row(line, run["ceilings"]["copy_gb_per_s"], options.gb_per_s))


if __name__ == "__main__":
    main()
