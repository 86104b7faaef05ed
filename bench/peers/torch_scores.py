#!/usr/bin/env python3
"""Work on score matrices that are there already, and the inverse of a positive definite matrix, in PyTorch."""
import numpy
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference, lists_difference
from torch_common import tensor, to_numpy


def row_topk(arrays: Arrays, axes: dict) -> Work:
    scores = tensor(arrays["scores"])
    offsets, columns, own = arrays["exclude_row_offsets"], arrays["exclude_columns"].astype(numpy.int64), arrays["exclude_rows"]
    rows = tensor(numpy.repeat(numpy.arange(len(own)), [offsets[r + 1] - offsets[r] for r in own]))
    excluded = (rows, tensor(numpy.concatenate([columns[offsets[r]:offsets[r + 1]] for r in own])))
    state = {}

    def run():
        masked = scores.clone()
        masked[excluded] = -torch.inf
        state["scores"], state["items"] = torch.topk(masked, axes["k"])

    def fault() -> str:
        return lists_difference(to_numpy(state["items"]), to_numpy(state["scores"]), arrays["top_items"], arrays["top_scores"], 0.0)

    return Work(run, fault)


def mean_sigmoid(arrays: Arrays, axes: dict) -> Work:
    scores = tensor(arrays["scores"])
    slope, offset = (float(v) for v in arrays["slope_and_offset"])
    state = {}

    def run():
        state["mean"] = torch.sigmoid(slope * scores + offset).mean(0, dtype=torch.float64)

    def fault() -> str:
        z = slope * arrays["scores"].astype(numpy.float64) + offset
        return difference("mean", to_numpy(state["mean"]), (1 / (1 + numpy.exp(-z))).mean(0), 16 * EPSILON)

    return Work(run, fault)


def gather_scores(arrays: Arrays, axes: dict) -> Work:
    scores, items = tensor(arrays["scores"]), tensor(arrays["items"].astype(numpy.int64))
    state = {}

    def run():
        state["out"] = torch.gather(scores, 1, items)

    return Work(run, lambda: difference("out", to_numpy(state["out"]), arrays["out"], 0.0))


def scaled_add(arrays: Arrays, axes: dict) -> Work:
    x, rows = tensor(arrays["x"]), tensor(arrays["row_bias"])[:, None]
    state = {}

    def run():
        state["out"] = torch.add(rows, x, alpha=0.75)

    def fault() -> str:
        bound = 4 * EPSILON * (abs(arrays["x"]) + abs(arrays["row_bias"])[:, None])
        return difference("out", to_numpy(state["out"]), arrays["out"], bound)

    return Work(run, fault)


def spd_inverse(arrays: Arrays, axes: dict) -> Work:
    matrix = tensor(arrays["matrix"])
    state = {}

    def run():
        state["inverse"] = torch.cholesky_inverse(torch.linalg.cholesky(matrix))

    def fault() -> str:  # made so that elimination is exact; another order of it may round
        return difference("inverse", to_numpy(state["inverse"]), arrays["inverse"], 1e-3 * abs(arrays["inverse"]).max())

    return Work(run, fault)


if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS,
                     {"row_topk": row_topk, "mean_sigmoid": mean_sigmoid, "gather_scores": gather_scores, "scaled_add": scaled_add,
                      "spd_inverse": spd_inverse}, torch_common.prepare)
