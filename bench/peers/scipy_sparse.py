#!/usr/bin/env python3
"""Sparse products in SciPy, which uses one thread: pairs counted as A^T A, and rows of a product as dense rows."""
import sys

import numpy
import scipy
import scipy.sparse

import peer_common
from peer_common import EPSILON, Arrays, CpuClock, Work, difference


def cooccurrence(arrays: Arrays, axes: dict) -> Work:
    ones = numpy.ones(len(arrays["baskets_columns"]), numpy.int32)
    baskets = scipy.sparse.csr_array((ones, arrays["baskets_columns"], arrays["baskets_row_offsets"]),
                                     shape=(axes["n_baskets"], axes["n_items"]))
    items = baskets.T.tocsr()  # Sheaf's op takes it as an input, too
    min_count = int(arrays["min_count"][0])
    state = {}

    def run():
        counts = (items @ baskets).tocoo()
        kept = (counts.data >= min_count) & (counts.row != counts.col)
        pairs = scipy.sparse.csr_array((counts.data[kept], (counts.row[kept], counts.col[kept])), shape=counts.shape)
        pairs.sort_indices()
        state["pairs"] = pairs

    def fault() -> str:
        pairs = state["pairs"]
        same = (numpy.array_equal(pairs.indptr, arrays["row_offsets"]) and numpy.array_equal(pairs.indices, arrays["neighbours"])
                and numpy.array_equal(pairs.data, arrays["counts"]))
        return "" if same else "the counts differ"

    return Work(run, fault)


def spgemm(arrays: Arrays, axes: dict) -> Work:
    left, right = arrays.csr("left", axes["n_inner"]), arrays.csr("right", axes["n_columns"])
    ids, bias = arrays["ids"], arrays["column_bias"]
    state = {}

    def run():
        state["out"] = (left[ids] @ right).toarray() + bias

    def fault() -> str:
        magnitude = (abs(left[ids]).astype(numpy.float64) @ abs(right).astype(numpy.float64)).toarray() + abs(bias)
        return difference("out", state["out"], arrays["out"], 2 * (axes["max_left"] + 2) * EPSILON * magnitude)

    return Work(run, fault)


def prepare(device: str, threads: int) -> CpuClock:
    if device != "cpu":
        print("SciPy works on the CPU alone", file=sys.stderr)
        sys.exit(2)
    return CpuClock()


if __name__ == "__main__":
    peer_common.main("scipy", f"scipy {scipy.__version__}", {"cooccurrence": cooccurrence, "spgemm": spgemm}, prepare)
