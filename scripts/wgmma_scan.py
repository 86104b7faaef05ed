#!/usr/bin/env python3
"""Looks through the PTX of every kernel with wgmma for instructions that touch registers of a product in flight.

  wgmma_scan.py                  compiles the sources that include wgmma.cuh for sm_90a and scans them; 1 and a line a fault
  wgmma_scan.py --ptx FILE...    scans these texts
  wgmma_scan.py --self-test      only proves that planted faults are found and their correct twins are not

From wgmma.mma_async until a wgmma.wait_group that covers its group, nothing but another wgmma may read or write its
accumulators, and its fragment of A may not be touched either (PTX manual, "Asynchronous warpgroup level matrix
multiply-accumulate"). The sources say so by the order of their statements alone, so that a compiler which moves or
copies a register in between breaks them without a word. The scan follows all paths of the control flow. It begins with
its planted faults. Compiler and flags are those of build/cuda/compile_commands.json (cmake --preset cuda).
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

import ptxas_table

ROOT = ptxas_table.ROOT
HEADER = "kernels/core/cuda/wgmma.cuh"
ARCHITECTURE = "90a"

FUNCTION = re.compile(r"\.(?:entry|func)\b[^;{]*?([A-Za-z_$][\w$]*)\s*\(")
DIRECTIVE = re.compile(r"\.(?:version|target|address_size|file|loc|section)\b[^\n]*")
LABEL = re.compile(r"\s*([A-Za-z_$][\w$]*):(?!:)")
REGISTER = re.compile(r"%[A-Za-z]+\d+\b")
PRODUCT = re.compile(r"wgmma\.mma_async\S*\s*\{([^}]*)\}\s*,\s*(\{[^}]*\}|[^,]+)")
OLDEST = 9  # groups: more are never waited for

Instruction = collections.namedtuple("Instruction", "line text")


def functions_of(ptx):
    """{name: (instructions, {label: place}, {label: targets of a branch table})}"""
    ptx = re.sub(r"//[^\n]*|/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), ptx, flags=re.S)
    found, current, line, at = {}, None, 1, 0
    while at < len(ptx):
        end = ptx.find(";", at)
        end = len(ptx) if end < 0 else end
        text = ptx[at:end]
        # The statement's own line: past what stands before it.
        while True:
            stripped = text.lstrip()
            line += text[:len(text) - len(stripped)].count("\n")
            text = stripped
            if match := FUNCTION.match(text) or re.match(r"(?:\.(?:visible|weak|extern)\s+)+", text):
                if match.re is FUNCTION:
                    name = match.group(1)
                    body = text.find("{")
                    if body < 0:
                        break  # a declaration
                    current = found[name] = ([], {}, {})
                    line += text[:body].count("\n")
                    text = text[body + 1:]
                    continue
                text = text[match.end():]
                continue
            if match := DIRECTIVE.match(text):
                text = text[match.end():]
                continue
            if text[:1] in ("{", "}"):
                text = text[1:]
                continue
            match = LABEL.match(text)
            if match and current:
                current[1][match.group(1)] = len(current[0])
                text = text[match.end():]
                if targets := re.match(r"\s*\.branchtargets\s+(.*)", text, re.S):
                    current[2][match.group(1)] = re.split(r"\s*,\s*", targets.group(1).strip())
                continue
            break
        if current and text and not text.startswith("."):
            current[0].append(Instruction(line, " ".join(text.split())))
        line += text.count("\n")
        at = end + 1
    return found


def successors(place, instructions, labels, tables):
    text = instructions[place].text
    guarded = text.startswith("@")
    words = text.split(maxsplit=1)[1] if guarded else text
    following = [place + 1] if place + 1 < len(instructions) else []
    if words.startswith("brx"):
        return [labels[target] for target in tables[words.replace(",", " ").split()[-1]]] + (following if guarded else [])
    if words.startswith("bra"):
        return [labels[words.split()[-1]]] + (following if guarded else [])
    if re.match(r"(ret|exit|trap)\b", words):
        return following if guarded else []
    return following


def step(text, flight, report):
    """The registers in flight, {name: groups committed since}, behind an instruction."""
    if product := PRODUCT.search(text):
        results, factor = set(REGISTER.findall(product.group(1))), set(REGISTER.findall(product.group(2)))
        if not product.group(2).startswith("{"):
            factor = set()  # a descriptor
        accumulators = {name for name, (_, is_result) in flight.items() if is_result}
        for name in sorted(factor & accumulators | results & (flight.keys() - accumulators)):
            report(name)
        flight = dict(flight)
        flight.update({name: (0, False) for name in factor})
        flight.update({name: (0, True) for name in results})
        return flight
    if "wgmma.commit_group" in text:
        return {name: (min(age + 1, OLDEST), is_result) for name, (age, is_result) in flight.items()}
    if waits := re.search(r"wgmma\.wait_group\S*\s+(\d+)", text):
        return {name: state for name, state in flight.items() if state[0] <= int(waits.group(1))}
    for name in REGISTER.findall(text):
        if name in flight:
            report(name)
    return flight


def faults_of(ptx):
    """(number of products, sorted [(line, function, register, instruction)])"""
    n_products, faults = 0, set()
    for name, (instructions, labels, tables) in functions_of(ptx).items():
        own = sum("wgmma.mma_async" in instruction.text for instruction in instructions)
        n_products += own
        if own == 0:
            continue
        before, waiting = {0: {}}, [0]
        while waiting:
            place = waiting.pop()
            line, text = instructions[place]
            behind = step(text, before[place], lambda register: faults.add((line, name, register, text)))
            for successor in successors(place, instructions, labels, tables):
                if successor >= len(instructions):
                    continue
                # Where paths meet, a register is in flight if it is on one of them, and as young as on any.
                known = before.get(successor)
                joined = dict(known or {})
                for register, (age, is_result) in behind.items():
                    former = joined.get(register, (age, is_result))
                    joined[register] = (min(age, former[0]), is_result or former[1])
                if joined != known:
                    before[successor] = joined
                    waiting.append(successor)
    return n_products, sorted(faults)


# --- planted faults ---------------------------------------------------------------------------------------------------

ISSUE = "{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %r9, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " \
        "{%f1, %f2}, {%r1, %r2}, %rd1, accumulate, 1, 1, 1;\n}\n"
OTHER = ISSUE.replace("%f1, %f2", "%f3, %f4").replace("{%r1, %r2}", "%rd2")
COMMIT, WAIT = "wgmma.commit_group.sync.aligned;\n", "wgmma.wait_group.sync.aligned %d;\n"
# name: (body, the register that is touched, or None for a correct one)
PLANTS = {
    "waits, then reads": (ISSUE + ISSUE + COMMIT + WAIT % 0 + "mul.f32 %f5, %f1, %f2;\n", None),
    "other registers in between": (ISSUE + COMMIT + "add.f32 %f5, %f6, %f11;\n" + WAIT % 0 + "mov.f32 %f5, %f1;\n", None),
    "the older of two groups": (ISSUE + COMMIT + OTHER + COMMIT + WAIT % 1 + "mov.f32 %f5, %f1;\n" + WAIT % 0 + "mov.f32 %f5, %f3;\n", None),
    "a read before the wait": (ISSUE + COMMIT + "mul.f32 %f5, %f5, %f1;\n" + WAIT % 0, "%f1"),
    "a copy between two products": (ISSUE + "mov.f32 %f7, %f2;\n" + ISSUE + COMMIT + WAIT % 0, "%f2"),
    "a write before the commit": (ISSUE + "mov.f32 %f2, 0f00000000;\n" + COMMIT + WAIT % 0, "%f2"),
    "a wait for an older group": (ISSUE + COMMIT + WAIT % 1 + "mov.f32 %f5, %f1;\n", "%f1"),
    "the younger of two groups": (ISSUE + COMMIT + OTHER + COMMIT + WAIT % 1 + "mov.f32 %f5, %f3;\n", "%f3"),
    "no commit before the wait": (ISSUE + WAIT % 0 + "mov.f32 %f5, %f1;\n", "%f1"),
    "an operand that is overwritten": (ISSUE + COMMIT + "add.s32 %r2, %r3, 1;\n" + WAIT % 0, "%r2"),
    "an accumulator as an operand": (ISSUE + OTHER.replace("%rd2", "{%f1, %r5}", 1) + COMMIT + WAIT % 0, "%f1"),
    "one path without the wait": (ISSUE + COMMIT + "@%p1 bra $L2;\n" + WAIT % 0 + "$L2:\nmov.f32 %f5, %f1;\n", "%f1"),
    "every path with a wait": (ISSUE + COMMIT + "@%p1 bra $L2;\n" + WAIT % 0 + "bra.uni $L3;\n$L2:\n" + WAIT % 0 + "$L3:\nmov.f32 %f5, %f1;\n", None),
    "the next turn of a loop": ("$L1:\nmov.f32 %f5, %f1;\n" + ISSUE + COMMIT + "@%p1 bra $L1;\n" + WAIT % 0, "%f1"),
    "a loop that waits": ("$L1:\nmov.f32 %f5, %f1;\n" + ISSUE + COMMIT + WAIT % 0 + "@%p1 bra $L1;\n", None),
    "a branch table": (ISSUE + COMMIT + "$T:\n.branchtargets\n$L1,\n$L2;\nbrx.idx %r7, $T;\n$L1:\n" + WAIT % 0 + "ret;\n$L2:\nst.global.f32 [%rd3], %f2;\n", "%f2"),
}


def self_test():
    for name, (body, register) in PLANTS.items():
        ptx = f".version 8.0\n.visible .entry plant_kernel(\n\t.param .u64 plant_param_0\n)\n{{\n.reg .f32 %f<9>;\n{body}ret;\n}}\n"
        n_products, faults = faults_of(ptx)
        touched = {fault[2] for fault in faults}
        if n_products == 0 or touched != ({register} if register else set()):
            sys.exit(f"wgmma_scan: the plant '{name}' should touch {register or 'nothing'}; found: {sorted(touched)} of {n_products} products")


# --- the sources ------------------------------------------------------------------------------------------------------


def includes_header(file, seen):
    if file in seen:
        return False
    seen.add(file)
    names = re.findall(r'^#include "([^"]+)"', (ROOT / file).read_text(), re.M)
    return HEADER in names or any(includes_header(name, seen) for name in names if (ROOT / name).exists())


def compile_to_ptx(file, words, folder):
    target = f"--generate-code=arch=compute_{ARCHITECTURE},code=compute_{ARCHITECTURE}"
    ptx = pathlib.Path(folder) / "kernel.ptx"
    done = subprocess.run(words + [target, "-ptx", str(ROOT / "kernels" / file), "-o", str(ptx)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"wgmma_scan: {file} does not compile to PTX:\n{done.stderr}")
    return ptx.read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--ptx", nargs="+", type=pathlib.Path, default=[])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda")
    options = parser.parse_args()
    self_test()
    if options.self_test:
        print(f"wgmma_scan: {len(PLANTS)} planted texts, each as it should be")
        return
    texts = {str(path): path.read_text() for path in options.ptx}
    if not texts:
        commands = ptxas_table.cuda_commands(options.build)
        with tempfile.TemporaryDirectory(prefix="sheaf-wgmma-") as folder:
            for file, words in sorted(commands.items()):
                if includes_header(f"kernels/{file}", set()):
                    texts[f"kernels/{file}"] = compile_to_ptx(file, words, folder)
    if not texts:
        sys.exit(f"wgmma_scan: no source includes {HEADER}")
    total, n_faults = 0, 0
    for file, ptx in texts.items():
        n_products, faults = faults_of(ptx)
        total += n_products
        n_faults += len(faults)
        names = dict(zip({f[1] for f in faults}, ptxas_table.demangle(list({f[1] for f in faults})))) if faults else {}
        for line, function, register, text in faults:
            print(f"{file}: {ptxas_table.short_name(names[function])}: line {line} of the PTX touches {register} of a product in flight: {text[:120]}")
    if total == 0:
        sys.exit("wgmma_scan: the sources hold no wgmma.mma_async; does the architecture know it?")
    print(f"wgmma_scan: {total} products in {len(texts)} sources, {n_faults} faults")
    sys.exit(1 if n_faults else 0)


if __name__ == "__main__":
    main()
