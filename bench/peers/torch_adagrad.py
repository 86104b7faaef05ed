#!/usr/bin/env python3
"""The sparse backward of embedding_bag with torch.optim.Adagrad, beside Sheaf's update by Adam or by row-wise Adagrad.

Adagrad keeps one moment an element where Adam keeps two and row-wise Adagrad one a row; its result is compared with
Adagrad's formula in double precision.
"""
import numpy
import torch

import peer_common
import torch_common
from peer_common import Arrays, Work
from torch_common import tensor
from torch_embedding import backward_and_step, first_step_fault, gradients


def update_of_rows(arrays: Arrays, axes: dict) -> Work:
    table = torch.nn.Parameter(tensor(arrays["table"]))
    learning_rate, eps = float(arrays["adam"][0]), 1e-10
    optimizer = torch.optim.Adagrad([table], lr=learning_rate, eps=eps)

    def fault() -> str:
        touched, g, _ = gradients(arrays, len(table))
        expected = arrays["table"][touched] - learning_rate * g / (abs(g) + eps)
        return first_step_fault(table, expected, arrays, learning_rate, eps)

    return Work(backward_and_step(arrays, table, optimizer), fault)


def table_update(arrays: Arrays, axes: dict) -> Work | None:
    return update_of_rows(arrays, axes) if axes["bits"] == 32 and axes["optimizer"] == 1 else None


if __name__ == "__main__":
    works = {"table_update": table_update, "table_update_entities": update_of_rows}
    peer_common.main("torch.optim.Adagrad", torch_common.VERSIONS, works, torch_common.prepare)
