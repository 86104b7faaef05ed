#!/usr/bin/env python3
"""faiss.IndexFlatIP for the k best items of a query, and for the k nearest by cosine of every item.

The bias is one more column. Faiss excludes nothing a query: it searches k and the longest exclusion together, then the
excluded are dropped.
"""
import sys

import faiss
import numpy

import peer_common
from peer_common import EPSILON, Arrays, CpuClock, Work, lists_difference


def score_topk(arrays: Arrays, axes: dict) -> Work:
    queries = numpy.hstack([arrays["queries"], numpy.ones((axes["n_queries"], 1), numpy.float32)])
    index = faiss.IndexFlatIP(axes["dim"] + 1)
    index.add(numpy.hstack([arrays["items"], arrays["item_bias"][:, None]]))
    lengths = numpy.diff(arrays["exclude_row_offsets"])
    first = numpy.arange(axes["n_queries"])[:, None] * axes["n_items"]
    excluded = numpy.repeat(first[:, 0], lengths) + arrays["exclude_columns"]
    n_searched = axes["k"] + int(lengths.max())
    state = {}

    def run():
        scores, ids = index.search(queries, n_searched)
        dropped = numpy.isin(first + ids, excluded)
        best = numpy.argsort(dropped, axis=1, kind="stable")[:, : axes["k"]]
        state["scores"], state["ids"] = (numpy.take_along_axis(a, best, axis=1) for a in (scores, ids))

    def fault() -> str:
        largest = abs(arrays["items"]).max(axis=0).astype(numpy.float64)
        magnitude = abs(arrays["queries"]).astype(numpy.float64) @ largest + abs(arrays["item_bias"]).max()
        bound = 2 * (axes["dim"] + 2) * EPSILON * magnitude[:, None]
        return lists_difference(state["ids"], state["scores"], arrays["top_items"], arrays["top_scores"], bound)

    return Work(run, fault)


def cosine_topk(arrays: Arrays, axes: dict) -> Work:
    vectors = arrays["vectors"]
    scale, min_score = (float(v) for v in arrays["scale_and_min_score"])
    own = numpy.arange(axes["n_items"])[:, None]
    state = {}

    def run():
        unit = vectors.copy()
        faiss.normalize_L2(unit)
        index = faiss.IndexFlatIP(axes["dim"])
        index.add(unit)
        scores, ids = index.search(unit, axes["k"] + 1)
        best = numpy.argsort(ids == own, axis=1, kind="stable")[:, : axes["k"]]
        scores, ids = (numpy.take_along_axis(a, best, axis=1) for a in (scores * scale, ids))
        listed = (scores >= min_score) & (scores > 0)
        state["scores"], state["ids"] = numpy.where(listed, scores, 0), numpy.where(listed, ids, -1)

    def fault() -> str:
        bound = 2 * (axes["dim"] + 6) * EPSILON * scale
        return lists_difference(state["ids"], state["scores"], arrays["neighbours"], arrays["scores"], bound)

    return Work(run, fault)


def prepare(device: str, threads: int) -> CpuClock:
    if device != "cpu":
        print("this peer uses faiss-cpu", file=sys.stderr)
        sys.exit(2)
    faiss.omp_set_num_threads(threads)
    return CpuClock()


if __name__ == "__main__":
    peer_common.main("faiss", f"faiss {faiss.__version__}, numpy {numpy.__version__}", {"score_topk": score_topk, "cosine_topk": cosine_topk}, prepare)
