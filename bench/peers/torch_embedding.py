#!/usr/bin/env python3
"""Embedding bags in PyTorch: torch.nn.functional.embedding_bag, and its sparse backward with torch.optim.SparseAdam."""
import numpy
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference
from torch_common import tensor, to_numpy


def forward_of(arrays: Arrays, table: torch.Tensor, sparse: bool):
    """32-bit indices, which PyTorch takes where the offsets fit: the smaller and faster choice."""
    indices, offsets = tensor(arrays["bags_columns"]), tensor(arrays["bags_row_offsets"].astype(numpy.int32))
    weights = tensor(arrays["bags_values"]) if "bags_values" in arrays else None
    return lambda: torch.nn.functional.embedding_bag(indices, table, offsets, mode="sum", sparse=sparse, include_last_offset=True,
                                                     per_sample_weights=weights)


def bag(arrays: Arrays, axes: dict) -> Work:
    table = tensor(arrays["table"])
    forward = forward_of(arrays, table, sparse=False)
    state = {}

    def run():
        with torch.no_grad():
            state["out"] = forward()

    def fault() -> str:
        bags = arrays.csr("bags", len(table)).astype(numpy.float64)
        magnitude = abs(bags) @ abs(arrays["table"]).astype(numpy.float64)
        n_terms = numpy.diff(bags.indptr)[:, None]
        return difference("out", to_numpy(state["out"]), arrays["out"], 2 * (n_terms + 1) * EPSILON * magnitude)

    return Work(run, fault)


def adam_bound(arrays: Arrays, n_rows: int):
    """How far two fp32 first steps of Adam on the same gradients may lie apart.

    The step is lr g / (|g| + eps): a sum g of n terms errs by n EPSILON of its magnitude, which may turn its sign. torch.optim.SparseAdam
    adds eps before the bias correction, hence eps / sqrt(1 - beta2) here.
    """
    learning_rate, _, beta2, eps = (float(v) for v in arrays["adam"][:4])
    entries = arrays.csr("bags", n_rows).astype(numpy.float64).T.tocsr()
    grad = arrays["grad"].astype(numpy.float64)
    g, magnitude = entries @ grad, abs(entries) @ abs(grad)
    n_terms = numpy.diff(entries.indptr)[:, None]
    error = (n_terms + 1) * EPSILON * magnitude
    turn = numpy.minimum(2.0, (2 * error + eps / numpy.sqrt(1 - beta2)) / numpy.maximum(abs(g) - error, 1e-30))
    step = learning_rate * (1e-5 + turn)
    return (step + 4 * EPSILON * abs(arrays["table"])) * (n_terms > 0)


def sparse_update(arrays: Arrays, axes: dict) -> Work:
    """Backward of the bag and the optimizer's step. The forward pass, which Sheaf's op does not do either, is not timed."""
    table = torch.nn.Parameter(tensor(arrays["table"]))
    out = forward_of(arrays, table, sparse=True)()
    grad = tensor(arrays["grad"])
    learning_rate, beta1, beta2, eps = (float(v) for v in arrays["adam"][:4])
    optimizer = torch.optim.SparseAdam([table], lr=learning_rate, betas=(beta1, beta2), eps=eps)

    def run():
        table.grad = None
        out.backward(grad, retain_graph=True)
        optimizer.step()

    def fault() -> str:
        return difference("table", to_numpy(table), arrays["table_after"], adam_bound(arrays, len(table)))

    return Work(run, fault)


if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, {"bag": bag, "sparse_update": sparse_update}, torch_common.prepare)
