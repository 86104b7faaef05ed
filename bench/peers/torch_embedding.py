#!/usr/bin/env python3
"""Embedding bags in PyTorch: torch.nn.functional.embedding_bag, and its sparse backward with an optimizer's step.

The optimizers are torch.optim.SparseAdam and torch.optim.SGD. torch.optim.RMSprop takes no sparse gradients; here is one
that does, in the operations of SparseAdam. torch_adagrad has Adagrad.
"""
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


def touched_fault(table: torch.Tensor, expected: numpy.ndarray, arrays: Arrays, touched: numpy.ndarray, bound: numpy.ndarray) -> str:
    got = to_numpy(table)
    changed = numpy.delete(got, touched, axis=0) != numpy.delete(arrays["table"], touched, axis=0)
    return "rows that no bag holds were changed" if changed.any() else difference("touched rows", got[touched], expected, bound)


def first_step_fault(table: torch.Tensor, expected: numpy.ndarray, arrays: Arrays, learning_rate: float, eps: float) -> str:
    """A first step of Adam or Adagrad is lr g / (|g| + eps); an error of g near 0 turns its sign. The rows not touched stay as they were."""
    touched, g, error = gradients(arrays, len(table))
    turn = numpy.minimum(2.0, (2 * error + eps) / numpy.maximum(abs(g) - error, 1e-30))
    bound = learning_rate * (1e-5 + turn) + 4 * EPSILON * abs(arrays["table"][touched])
    return touched_fault(table, expected, arrays, touched, bound)


class SparseRmsprop:
    """The rows touched alone, as SparseAdam does it."""

    def __init__(self, table: torch.nn.Parameter, learning_rate: float, decay: float, eps: float):
        self.table, self.learning_rate, self.decay, self.eps = table, learning_rate, decay, eps
        self.variance = torch.zeros_like(table)

    @torch.no_grad()
    def step(self) -> None:
        grad = self.table.grad.coalesce()
        rows, g = grad.indices()[0], grad.values()
        variance = self.variance[rows].mul_(self.decay).addcmul_(g, g, value=1 - self.decay)
        self.variance.index_copy_(0, rows, variance)
        self.table.index_add_(0, rows, g.div(variance.sqrt_().add_(self.eps)), alpha=-self.learning_rate)


def backward_and_step(arrays: Arrays, table: torch.nn.Parameter, optimizer: torch.optim.Optimizer | SparseRmsprop):
    out, grad = forward_of(arrays, table, sparse=True)(), tensor(arrays["grad"])

    def run():
        table.grad = None
        out.backward(grad, retain_graph=True)
        optimizer.step()

    return run


def update_of_rows(arrays: Arrays, axes: dict) -> Work:
    """Backward of the bag and Adam's step. The forward pass, which Sheaf's op does not do either, is not timed."""
    table = torch.nn.Parameter(tensor(arrays["table"]))
    learning_rate, beta1, beta2, eps = (float(v) for v in arrays["adam"])
    optimizer = torch.optim.SparseAdam([table], lr=learning_rate, betas=(beta1, beta2), eps=eps)

    def fault() -> str:
        touched, _, _ = gradients(arrays, len(table))
        # torch.optim.SparseAdam adds eps before the bias correction.
        return first_step_fault(table, arrays["table_after"][touched], arrays, learning_rate, eps / numpy.sqrt(1 - beta2))

    return Work(backward_and_step(arrays, table, optimizer), fault)


def sgd_update(arrays: Arrays) -> Work:
    table = torch.nn.Parameter(tensor(arrays["table"]))
    learning_rate = float(arrays["adam"][0])

    def fault() -> str:
        touched, g, error = gradients(arrays, len(table))
        # torch.optim.SGD adds a row's entries one after another to the table, with one rounding each.
        n_terms = numpy.bincount(arrays["bags_columns"], minlength=len(table))[touched, None]
        largest = abs(arrays["table"][touched]) + learning_rate * error / EPSILON  # error has the sum of magnitudes
        bound = learning_rate * (2 * error + 4 * EPSILON * abs(g)) + (n_terms + 3) * EPSILON * largest
        return touched_fault(table, arrays["table_after"][touched], arrays, touched, bound)

    return Work(backward_and_step(arrays, table, torch.optim.SGD([table], lr=learning_rate)), fault)


def rmsprop_update(arrays: Arrays) -> Work:
    table = torch.nn.Parameter(tensor(arrays["table"]))
    learning_rate, _, decay, eps = (float(v) for v in arrays["adam"])

    def fault() -> str:
        touched, _, _ = gradients(arrays, len(table))
        root = numpy.sqrt(1 - decay)  # the first step is lr g / (root |g| + eps)
        return first_step_fault(table, arrays["table_after"][touched], arrays, learning_rate / root, eps / root)

    return Work(backward_and_step(arrays, table, SparseRmsprop(table, learning_rate, decay, eps)), fault)


def table_bag(arrays: Arrays, axes: dict) -> Work | None:
    return bag(arrays, axes) if axes["bits"] == 32 else None


def table_update(arrays: Arrays, axes: dict) -> Work | None:
    if axes["bits"] != 32:
        return None
    updates = {0: sgd_update, 2: lambda a: update_of_rows(a, axes), 3: rmsprop_update}
    return updates[axes["optimizer"]](arrays) if axes["optimizer"] in updates else None


WORKS = {"table_bag": table_bag, "table_update": table_update, "table_bag_entities": bag,
         "table_update_entities": update_of_rows}

if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, WORKS, torch_common.prepare)
