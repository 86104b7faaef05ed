#!/usr/bin/env python3
"""Checks that the documentation is true. Usage: check_docs.py ROOT [PROGRAM]. Exit status 1 and one line a fault.

- Every relative link and every file named in back quotes with a slash in a README exists.
- Every block of README files that begins with ```console is run line by line ("$ command"), in an empty folder with
  build/cpu/bin on the PATH and SHEAF_ROOT naming ROOT; each command must end with 0.
- kernels/README.md lists every op (a header with a SHEAF_BACKENDS line or a pair of backend namespaces).
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
NAMED = re.compile(r"`([A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+)`")
BLOCK = re.compile(r"^```console\n(.*?)^```", re.S | re.M)
MADE_BY_USE = ("build/", "sheaf-demo/", "nvidia/", "application/")


def markdown_files(root):
    for path in sorted(root.rglob("*.md")):
        if path.relative_to(root).parts[0] not in ("build", "sheaf-demo", ".git", ".venv", ".venv-peers"):
            yield path


def check_names(root, path, text, faults):
    for match in LINK.finditer(text):
        target = match.group(1)
        if "://" not in target and not (path.parent / target).exists():
            faults.append(f"{path.relative_to(root)}: link to {target}, which does not exist")
    for match in NAMED.finditer(text):
        name = match.group(1)
        if name.startswith(MADE_BY_USE) or "*" in name:
            continue
        places = (root / name, path.parent / name)
        if name.split("/")[0] in {p.name for p in root.iterdir()} and not any(p.exists() for p in places):
            faults.append(f"{path.relative_to(root)}: names {name}, which does not exist")


def run_blocks(root, path, text, program, faults):
    with tempfile.TemporaryDirectory(prefix="sheaf-docs-") as folder:
        environment = dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}", SHEAF_ROOT=str(root))
        for block in BLOCK.findall(text):
            for line in block.splitlines():
                if not line.startswith("$ "):
                    continue
                done = subprocess.run(["bash", "-c", line[2:]], cwd=folder, env=environment, capture_output=True, text=True)
                if done.returncode != 0:
                    faults.append(f"{path.relative_to(root)}: '{line[2:]}' ended with {done.returncode}: {done.stderr.strip()}")


def check_op_index(root, faults):
    index = (root / "kernels" / "README.md").read_text()
    for header in sorted((root / "kernels").rglob("*.hpp")):
        text = header.read_text()
        is_op = header.name != "dispatch.hpp" and ("SHEAF_BACKENDS(" in text or ("namespace cpu {" in text and "namespace cuda {" in text))
        name = header.relative_to(root / "kernels").with_suffix("")
        if is_op and f"`{name}`" not in index:
            faults.append(f"kernels/README.md: the op {name} is missing from the index")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    program = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else root / "build/cpu/bin/sheaf").resolve()
    faults = []
    for path in markdown_files(root):
        text = path.read_text()
        check_names(root, path, text, faults)
        run_blocks(root, path, text, program, faults)
    check_op_index(root, faults)
    for fault in faults:
        print(fault)
    print(f"docs: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
