#!/usr/bin/env python3
"""Half a sweep of alternating least squares in implicit: its default, three steps of conjugate gradients, and exact.

What is timed is the default. It ends near the solution, within a fifth of its length; implicit's exact solver must agree
with Sheaf within rounding. implicit makes the Gram matrix in the call; Sheaf takes it as given (the op `gram`).
"""
import sys

import implicit
import implicit.cpu._als
import numpy
import scipy.sparse

import peer_common
from peer_common import Arrays, CpuClock, Work, difference

ALPHA, L2 = 10.0, 1.0  # of bench/ops/bench_sparse.cpp
STEPS = 3  # implicit's own choice


def als_solve(threads: int):
    def make(arrays: Arrays, axes: dict) -> Work:
        items = arrays["items"]
        weights = arrays.csr("rows", axes["n_columns"])
        confidence = scipy.sparse.csr_matrix(((1.0 + ALPHA * weights.data).astype(numpy.float32), weights.indices.astype(numpy.int32),
                                              weights.indptr.astype(numpy.int32)), shape=weights.shape)
        out = numpy.zeros((axes["n_rows"], axes["dim"]), numpy.float32)

        def run():
            out[:] = 0.0
            implicit.cpu._als.least_squares_cg(confidence, out, items, L2, num_threads=threads, cg_steps=STEPS)

        def fault() -> str:
            sheaf = arrays["out"].astype(numpy.float64)
            exact = numpy.zeros_like(out)
            implicit.cpu._als.least_squares(confidence, exact, items, L2, num_threads=threads)
            # Its equations are in float and not whitened: the error grows with their condition number, here below 1,000.
            wrong = difference("exact x", exact, sheaf, 1000 * peer_common.EPSILON * abs(sheaf).max())
            if wrong:
                return wrong
            far = numpy.linalg.norm(out - sheaf) / numpy.linalg.norm(sheaf)
            return "" if far < 0.2 else f"three steps end {far:.2f} of the length away"

        return Work(run, fault)

    return make


def prepare(device: str, threads: int) -> CpuClock:
    if device != "cpu":
        print("implicit is measured on the CPU alone", file=sys.stderr)
        sys.exit(2)
    WORKS["als_solve"] = als_solve(threads)
    return CpuClock()


WORKS = {"als_solve": lambda arrays, axes: None}

if __name__ == "__main__":
    peer_common.main("implicit", f"implicit {implicit.__version__}", WORKS, prepare)
