#!/usr/bin/env python3
"""Checks the C++ and CUDA sources: who includes whom, and that no line is above 120 columns.
Usage: check_layers.py ROOT. Exit status 1 and one line a breach.

kernels/core <- kernels/<family> <- engine <- host; families never include each other; engine and host never see .cuh or
cuda_runtime.h; bench and tests see all below them; nothing includes tests, except that bench may use tests/reference.
The folders of engine and of host stand in an order: each sees only those
behind it, so that there is no circle of folders.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ROOMS = ("kernels", "engine", "host", "bench", "tests")
# Each folder sees itself and those behind it.
FOLDERS = {
    "engine": ("models", "train", "evaluate", "bundles", "demand", "scoring", "associate", "mining", "optimize", "io", "layers", "data"),
    "host": ("cli", "report", "app", "data", "problems", "config", "text"),
}
SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh", ".h"}
MAX_COLUMNS = 120
# clang-format keeps code within the width, but neither comments nor text.
LONG_LINES = (
    "host/report/html.cpp",  # the style sheet of the report, one rule a line
)


def allowed(path: str, include: str) -> bool:
    room, included_room = path.split("/")[0], include.split("/")[0]
    if room in ("engine", "host") and (include.endswith(".cuh") or include.startswith("cuda")):
        return False
    if included_room not in ROOMS:
        return True
    if included_room == "tests":
        return room == "tests" or (room == "bench" and include.startswith("tests/reference/"))
    if room == "kernels":
        if included_room != "kernels":
            return False
        family, included_family = path.split("/")[1], include.split("/")[1]
        return included_family in ("core", family)
    if room in FOLDERS and included_room == room:
        order, folder, included_folder = FOLDERS[room], path.split("/")[1], include.split("/")[1]
        return folder in order and included_folder in order and order.index(folder) <= order.index(included_folder)
    if room == "engine":
        return included_room == "kernels"
    if room == "host":
        return included_room in ("kernels", "engine")
    if room == "bench":
        return included_room != "tests"
    return True


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    breaches, files = [], 0
    for room in ROOMS:
        for file in sorted((root / room).rglob("*")):
            if file.suffix not in SUFFIXES:
                continue
            files += 1
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                if match and not allowed(path, match.group(1)):
                    breaches.append(f"{path}:{number}: must not include {match.group(1)}")
                if len(line) > MAX_COLUMNS and not path.startswith(LONG_LINES):
                    breaches.append(f"{path}:{number}: {len(line)} columns, more than {MAX_COLUMNS}")
    print("\n".join(breaches) if breaches else f"layers: {files} files, no breach")
    return 1 if breaches or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
