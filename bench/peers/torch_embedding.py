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


def gradients(arrays: Arrays, n_rows: int):
    """Of the table, in double precision: the touched rows, their gradients, and how far an fp32 sum may be off."""
    entries = arrays.csr("bags", n_rows).astype(numpy.float64).T.tocsr()
    n_terms = numpy.diff(entries.indptr)
    touched = numpy.flatnonzero(n_terms)
    entries, grad = entries[touched], arrays["grad"].astype(numpy.float64)
    return touched, entries @ grad, (n_terms[touched, None] + 1) * EPSILON * (abs(entries) @ abs(grad))


def first_step_fault(table: torch.Tensor, expected: numpy.ndarray, arrays: Arrays, learning_rate: float, eps: float) -> str:
    """A first step of Adam or Adagrad is lr g / (|g| + eps); an error of g near 0 turns its sign. The rows not touched stay as they were."""
    touched, g, error = gradients(arrays, len(table))
    turn = numpy.minimum(2.0, (2 * error + eps) / numpy.maximum(abs(g) - error, 1e-30))
    before, got = arrays["table"], to_numpy(table)
    bound = learning_rate * (1e-5 + turn) + 4 * EPSILON * abs(before[touched])
    changed = numpy.delete(got, touched, axis=0) != numpy.delete(before, touched, axis=0)
    return "rows that no bag holds were changed" if changed.any() else difference("touched rows", got[touched], expected, bound)


def backward_and_step(arrays: Arrays, table: torch.nn.Parameter, optimizer: torch.optim.Optimizer):
    out, grad = forward_of(arrays, table, sparse=True)(), tensor(arrays["grad"])

    def run():
        table.grad = None
        out.backward(grad, retain_graph=True)
        optimizer.step()

    return run


def update_of_rows(arrays: Arrays, axes: dict) -> Work:
    """Backward of the bag and the optimizer's step. The forward pass, which Sheaf's op does not do either, is not timed."""
    table = torch.nn.Parameter(tensor(arrays["table"]))
    learning_rate, beta1, beta2, eps = (float(v) for v in arrays["adam"])
    optimizer = torch.optim.SparseAdam([table], lr=learning_rate, betas=(beta1, beta2), eps=eps)

    def fault() -> str:
        touched, _, _ = gradients(arrays, len(table))
        # torch.optim.SparseAdam adds eps before the bias correction.
        return first_step_fault(table, arrays["table_after"][touched], arrays, learning_rate, eps / numpy.sqrt(1 - beta2))

    return Work(backward_and_step(arrays, table, optimizer), fault)


def table_bag(arrays: Arrays, axes: dict) -> Work | None:
    return bag(arrays, axes) if axes["bits"] == 32 else None


def table_update(arrays: Arrays, axes: dict) -> Work | None:
    """Adam alone has two moments; torch_adagrad has the others."""
    return update_of_rows(arrays, axes) if axes["bits"] == 32 and axes["moments"] == 2 else None


WORKS = {"table_bag": table_bag, "table_update": table_update, "table_bag_entities": bag,
         "table_update_entities": update_of_rows}

if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, WORKS, torch_common.prepare)
