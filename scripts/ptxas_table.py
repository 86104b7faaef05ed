#!/usr/bin/env python3
"""ptxas' report on every CUDA kernel: registers, shared memory, stack and spills, kept in kernels/registers.json and registers.md.

  ptxas_table.py --check [--arch 90a]    compiles kernels/**/*.cu and compares with the table; 1 and a line a fault
  ptxas_table.py --write [--only FILE]   makes the table anew, for all architectures of ARCHITECTURES, or what it says of
                                         one file of kernels/ (sparse/spmm_cuda.cu; may be given several times)

Kernels of the toolkit (CUB's sort and scan) are left out. Takes the compiler and its flags from
build/cuda/compile_commands.json (cmake --preset cuda); nothing is linked or run. Faults: a kernel that spills more than
the table says, uses more stack, or takes over REGISTER_SLACK registers more; one that is not in the table; a line of
the table without its kernel. ptxas of another release allots other registers: then only spills and stack count.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "kernels" / "registers.json"
PAGE = ROOT / "kernels" / "registers.md"
ARCHITECTURES = ("80", "86", "89", "90a", "100", "120")
# Registers are allotted in eights: up to two steps are left to taste, more may cost a resident block and want a look.
REGISTER_SLACK = 16
FIGURES = ("registers", "shared", "stack", "spill_stores", "spill_loads")

OURS = re.compile(r"(void )?sheaf::")  # CUB's kernels are the toolkit's
# A check first proves that it sees a spill: this kernel, squeezed into so many registers.
PLANTED_FILE, PLANTED_FLAGS = "genetic/bundle_terms_cuda.cu", ["-maxrregcount=24"]
ENTRY = re.compile(r"Compiling entry function '(\S+)' for")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+)(?:\+(\d+))? bytes smem")


def cuda_commands(build):
    """{file relative to kernels/: nvcc's words without architecture, input and output}"""
    path = build / "compile_commands.json"
    if not path.exists():
        sys.exit(f"ptxas_table: no {path}; run `cmake --preset cuda` first")
    commands = {}
    for entry in json.loads(path.read_text()):
        file = pathlib.Path(entry["file"])
        if file.suffix != ".cu" or not file.is_relative_to(ROOT / "kernels"):
            continue
        words, kept, skip = shlex.split(entry["command"]), [], False
        start = next(i for i, word in enumerate(words) if pathlib.Path(word).name == "nvcc")
        for word in words[start:]:
            if not skip and word not in ("-c", "-o", str(file)) and not re.match(r"--generate-code|-gencode|-arch", word):
                kept.append(word)
            skip = word == "-o"
        commands[file.relative_to(ROOT / "kernels").as_posix()] = kept
    if not commands:
        sys.exit(f"ptxas_table: {path} names no .cu file of kernels/; was it configured with SHEAF_CUDA=ON?")
    return commands


def demangle(names):
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def short_name(name):
    """Without result, parameters and the namespaces that its file says."""
    depth = 0
    for at, letter in enumerate(name.replace("(anonymous namespace)", "<anonymous namespace>")):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            name = name[:at]
            break
    name = name.replace("(anonymous namespace)::", "").removeprefix("void ")
    head, angle, arguments = name.partition("<")
    return head.split("::")[-1] + angle + arguments


def parse_report(text):
    """{mangled name: figures} of what `ptxas -v` wrote. The functions that a kernel calls follow it: their spills are its own."""
    kernels, current = {}, None
    for line in text.splitlines():
        if match := ENTRY.search(line):
            current = kernels[match.group(1)] = dict.fromkeys(FIGURES, 0)
        if current is None:
            continue
        if match := FRAME.search(line):
            stack, stores, loads = map(int, match.groups())
            current["stack"] = max(current["stack"], stack)
            current["spill_stores"] += stores
            current["spill_loads"] += loads
        if match := USED.search(line):
            current["registers"] = int(match.group(1))
            if shared := SHARED.search(line):
                current["shared"] = sum(int(bytes_) for bytes_ in shared.groups() if bytes_)
    return kernels


def compile_one(file, words, architecture, folder):
    target = f"--generate-code=arch=compute_{architecture},code=sm_{architecture}"
    cubin = pathlib.Path(folder) / f"{file.replace('/', '_')}.{architecture}.cubin"
    command = words + [target, "-Xptxas=-v", "-cubin", str(ROOT / "kernels" / file), "-o", str(cubin)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ptxas_table: {file} does not compile for sm_{architecture}:\n{done.stderr}")
    report = parse_report(done.stderr + done.stdout)
    named = zip(demangle(report), report.values())
    return file, architecture, {short_name(name): figures for name, figures in named if OURS.match(name)}


def measure(commands, architectures):
    """{file: {kernel: {architecture: figures}}}"""
    found = {}
    with tempfile.TemporaryDirectory(prefix="sheaf-ptxas-") as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_one, file, words, arch, folder) for arch in architectures for file, words in commands.items()]
        for job in jobs:
            file, architecture, report = job.result()
            for kernel, figures in report.items():
                found.setdefault(file, {}).setdefault(kernel, {})[architecture] = figures
    return found


def release_of(commands):
    nvcc = next(iter(commands.values()))[0]
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release (\S+),", text).group(1)


def faults_of(table, found, same_release):
    known = table["kernels"]
    for file, kernels in found.items():
        for kernel, by_architecture in kernels.items():
            for architecture, now in by_architecture.items():
                where = f"kernels/{file}: {kernel} for sm_{architecture}"
                before = known.get(file, {}).get(kernel, {}).get(architecture)
                if before is None:
                    yield f"{where} is not in the table: {now['registers']} registers, {now['spill_stores']} bytes of spill stores"
                    continue
                for figure in ("spill_stores", "spill_loads", "stack"):
                    if now[figure] > before[figure]:
                        yield f"{where}: {figure.replace('_', ' ')} of {now[figure]} bytes, {before[figure]} in the table"
                if same_release and now["registers"] > before["registers"] + REGISTER_SLACK:
                    yield f"{where}: {now['registers']} registers, {before['registers']} in the table, {REGISTER_SLACK} more are allowed"
    for file, kernels in known.items():
        for kernel in kernels:
            if kernel not in found.get(file, {}):
                yield f"kernels/{file}: {kernel} is in the table and no more in the sources"


def page_of(table):
    lines = [
        "# Registers and spills",
        "",
        f"What ptxas {table['release']} reports of every kernel; `scripts/ptxas_table.py --write` makes this page, `--check` compares, and the tests do.",
        "Registers a thread by architecture, static shared memory a block in bytes (for sm_90a), and the largest stack frame and spill a thread",
        "in bytes over all architectures. Dynamic shared memory is the launch's and not ptxas' to know.",
        "",
        "| file | kernel | " + " | ".join(ARCHITECTURES) + " | shared | stack | spill |",
        "| --- | --- |" + " ---: |" * (len(ARCHITECTURES) + 3),
    ]
    for file, kernels in sorted(table["kernels"].items()):
        for kernel, by_architecture in sorted(kernels.items()):
            figures = list(by_architecture.values())
            registers = [str(by_architecture[a]["registers"]) for a in ARCHITECTURES]
            spill = max(f["spill_stores"] + f["spill_loads"] for f in figures)
            stack = max(f["stack"] for f in figures)
            cells = [file, f"`{kernel}`", *registers, str(by_architecture["90a"]["shared"]), str(stack), str(spill)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def json_of(table):
    """A line a kernel and architecture, so that changes read well."""
    lines = ["{", f'  "release": {json.dumps(table["release"])},', '  "kernels": {']
    files = sorted(table["kernels"].items())
    for f, (file, kernels) in enumerate(files):
        lines.append(f"    {json.dumps(file)}: {{")
        for k, (kernel, by_architecture) in enumerate(sorted(kernels.items())):
            rows = [f"        {json.dumps(a)}: {json.dumps(by_architecture[a])}" for a in ARCHITECTURES]
            lines.append(f"      {json.dumps(kernel)}: {{\n" + ",\n".join(rows) + "\n      }" + ("," if k + 1 < len(kernels) else ""))
        lines.append("    }" + ("," if f + 1 < len(files) else ""))
    return "\n".join(lines + ["  }", "}"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda", help="configured folder (build/cuda)")
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, help="to check; may be given several times (90a)")
    parser.add_argument("--only", action="append", metavar="FILE", help="with --write: of this file alone; may be given several times")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--check", action="store_true")
    way.add_argument("--write", action="store_true")
    options = parser.parse_args()

    commands = cuda_commands(options.build)
    release = release_of(commands)
    if options.only and not options.write:
        parser.error("--only is for --write")
    if options.write:
        wanted = {file: words for file, words in commands.items() if not options.only or file in options.only}
        if not wanted or (options.only and len(wanted) < len(set(options.only))):
            parser.error(f"--only {' '.join(options.only)}: not all of these are among {' '.join(sorted(commands))}")
        known = json.loads(TABLE.read_text()) if options.only else {"release": release, "kernels": {}}
        if known["release"] != release:
            parser.error(f"the table is of ptxas {known['release']} and this is {release}: write it whole")
        measured = measure(wanted, ARCHITECTURES)
        known = json.loads(TABLE.read_text()) if options.only else known  # it may have changed in these minutes
        kept = {file: rows for file, rows in known["kernels"].items()
                if file not in wanted and (ROOT / "kernels" / file).exists()}
        table = {"release": release, "kernels": {**kept, **measured}}
        TABLE.write_text(json_of(table))
        PAGE.write_text(page_of(table))
        print(f"wrote {TABLE} and {PAGE}")
        return 0
    architectures = options.arch or ["90a"]
    table = json.loads(TABLE.read_text())
    planted = measure({PLANTED_FILE: commands[PLANTED_FILE] + PLANTED_FLAGS}, architectures[:1])
    if not any("spill stores" in fault for fault in faults_of(table, planted, False)):
        sys.exit(f"ptxas_table: kernels/{PLANTED_FILE} with {PLANTED_FLAGS[0]} shows no spill: is ptxas' report read aright?")
    found = measure(commands, architectures)
    faults = list(faults_of(table, found, release == table["release"]))
    print("".join(fault + "\n" for fault in faults), end="")
    note = "" if release == table["release"] else f"; registers not compared: this is ptxas {release}, the table's is {table['release']}"
    print(f"registers: {sum(map(len, found.values()))} kernels for sm_{', sm_'.join(architectures)}, {len(faults)} faults{note}")
    if faults:
        print("  mend the kernel, or, where the change is meant, run scripts/ptxas_table.py --write and commit the table")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
