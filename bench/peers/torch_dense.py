#!/usr/bin/env python3
"""Matrix products with top-k, and softmax over the whole catalog, in PyTorch: the score matrix is stored."""
import numpy
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference, lists_difference
from torch_common import tensor, to_numpy


def rows_of(offsets: numpy.ndarray) -> torch.Tensor:
    return tensor(numpy.repeat(numpy.arange(len(offsets) - 1), numpy.diff(offsets)))


def score_topk(arrays: Arrays, axes: dict) -> Work:
    queries, items, bias = (tensor(arrays[name]) for name in ("queries", "items", "item_bias"))
    excluded = (rows_of(arrays["exclude_row_offsets"]), tensor(arrays["exclude_columns"].astype(numpy.int64)))
    state = {}

    def run():
        scores = torch.addmm(bias, queries, items.T)
        scores[excluded] = -torch.inf
        state["scores"], state["items"] = torch.topk(scores, axes["k"])

    def fault() -> str:
        largest = abs(arrays["items"]).max(axis=0).astype(numpy.float64)
        magnitude = abs(arrays["queries"]).astype(numpy.float64) @ largest + abs(arrays["item_bias"]).max()
        bound = 2 * (axes["dim"] + 2) * EPSILON * magnitude[:, None]
        return lists_difference(to_numpy(state["items"]), to_numpy(state["scores"]), arrays["top_items"], arrays["top_scores"], bound)

    return Work(run, fault)


def cosine_topk(arrays: Arrays, axes: dict) -> Work:
    vectors = tensor(arrays["vectors"])
    scale, min_score = (float(v) for v in arrays["scale_and_min_score"])
    state = {}

    def run():
        unit = torch.nn.functional.normalize(vectors)
        scores = unit @ unit.T
        scores.fill_diagonal_(-torch.inf)
        values, ids = torch.topk(scores, axes["k"])
        values *= scale
        listed = (values >= min_score) & (values > 0)
        state["scores"], state["items"] = torch.where(listed, values, 0.0), torch.where(listed, ids, -1)

    def fault() -> str:
        bound = 2 * (axes["dim"] + 6) * EPSILON * scale
        return lists_difference(to_numpy(state["items"]), to_numpy(state["scores"]), arrays["neighbours"], arrays["scores"], bound)

    return Work(run, fault)


def softmax_bounds(arrays: Arrays) -> dict:
    """Rounding of both sides, as bench/ops/bench_loss.cpp derives it for one."""
    users, items, bias = (arrays[name].astype(numpy.float64) for name in ("users", "items", "item_bias"))
    weights = arrays.csr("targets", len(items)).astype(numpy.float64).toarray()
    n_users, n_items, dim = len(users), len(items), users.shape[1]
    scores = users @ items.T + bias
    score_error = (dim + 2) * EPSILON * (abs(users) @ abs(items).T + abs(bias)).max()
    p = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    p *= weights.sum(axis=1, keepdims=True) / p.sum(axis=1, keepdims=True)  # W_u p(u, i)
    error = p * (2 * score_error + (n_items + 16) * EPSILON) + 4 * EPSILON * (p + weights)
    size = abs(p - weights) + error
    parts = p + weights + error  # summed apart for d_users

    def summed(terms: int, errors, sizes):
        return 2 * (errors + (terms + 2) * EPSILON * sizes)

    return {"d_users": summed(2 * n_items, error @ abs(items), parts @ abs(items)),
            "d_items": summed(n_users, error.T @ abs(users), size.T @ abs(users)),
            "d_item_bias": summed(n_users, error.sum(axis=0), size.sum(axis=0))}


def full_softmax(arrays: Arrays, axes: dict) -> Work:
    leaves = {name: tensor(arrays[name]).requires_grad_() for name in ("users", "items", "item_bias")}
    rows, columns = rows_of(arrays["targets_row_offsets"]), tensor(arrays["targets_columns"].astype(numpy.int64))
    weights = tensor(arrays["targets_values"])

    def run():
        for leaf in leaves.values():
            leaf.grad = None
        logits = torch.addmm(leaves["item_bias"], leaves["users"], leaves["items"].T)
        loss = -(weights * torch.log_softmax(logits, dim=1)[rows, columns]).sum()
        loss.backward()

    def fault() -> str:
        bounds = softmax_bounds(arrays)
        faults = (difference(f"d_{name}", to_numpy(leaf.grad), arrays[f"d_{name}"], bounds[f"d_{name}"]) for name, leaf in leaves.items())
        return next((fault for fault in faults if fault), "")

    return Work(run, fault)


if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, {"score_topk": score_topk, "cosine_topk": cosine_topk, "full_softmax": full_softmax},
                     torch_common.prepare)
