#!/usr/bin/env python3
"""Which backends have run the kernels of kernels/.

  kernel_backends.py simt=FILE [cuda=FILE...]    a line a kernel; exit status 1 when a backend has not run one of them

A FILE holds kernels' names, one a line, with or without their namespaces, template arguments and parameters: what a
test build leaves in the file that SHEAF_SIMT_KERNEL_LOG names, or the names of a profiler's report. Names of other
kernels are left out.
"""
import pathlib
import re
import sys

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "kernels"
DEFINITION = re.compile(r"__global__\s+(?:__launch_bounds__\([^)]*\)\s+)?void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\(")


def defined():
    """{name: file relative to kernels/}"""
    kernels = {}
    for path in sorted([*KERNELS.rglob("*.cu"), *KERNELS.rglob("*.cuh")]):
        file = path.relative_to(KERNELS).as_posix()
        text = path.read_text()
        names = DEFINITION.findall(text)
        if len(names) != len(re.findall(r"__global__\s", text)):
            sys.exit(f"kernel_backends: {file}: a __global__ function whose name was not found")
        for name in names:
            if name in kernels:
                sys.exit(f"kernel_backends: two kernels are called {name}: {kernels[name]} and {file}; a log could not tell them apart")
            kernels[name] = file
    if not kernels:
        sys.exit("kernel_backends: kernels/ defines no kernel")
    return kernels


def ran(path):
    """Every word of the file: a kernel's own name is one, whatever stands around it."""
    try:
        return set(re.findall(r"\w+", pathlib.Path(path).read_text()))
    except OSError as error:
        sys.exit(f"kernel_backends: {path}: {error.strerror}; run the tests with SHEAF_SIMT_KERNEL_LOG={path}")


def main():
    logs = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if not logs or len(logs) != len(sys.argv) - 1:
        sys.exit(__doc__)
    kernels = defined()
    names_of = {backend: ran(path) for backend, path in logs.items()}
    width = max(map(len, kernels))
    missing = []
    for name, file in kernels.items():
        backends = [backend for backend in logs if name in names_of[backend]]
        missing += [f"{backend} has not run {name} of kernels/{file}" for backend in logs if backend not in backends]
        print(f"{name:<{width}}  {file:<40}  {' '.join(backends) or '-'}")
    for line in missing:
        print(f"kernel_backends: {line}", file=sys.stderr)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
