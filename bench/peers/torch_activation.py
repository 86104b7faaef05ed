#!/usr/bin/env python3
"""Element-wise activations and their gradients in PyTorch, into tensors that are there already."""
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference
from torch_common import tensor, to_numpy

aten = torch.ops.aten
FORWARD = (aten.relu.out, aten.sigmoid.out, aten.tanh.out, aten.gelu.out)  # in the order of dense::Activation


def backward_of(kind: int):
    """(kept, d_out, d_x) -> None; kept is x for gelu, out for the others."""
    return (lambda out, d, to: aten.threshold_backward.grad_input(d, out, 0, grad_input=to),
            lambda out, d, to: aten.sigmoid_backward.grad_input(d, out, grad_input=to),
            lambda out, d, to: aten.tanh_backward.grad_input(d, out, grad_input=to),
            lambda x, d, to: aten.gelu_backward.grad_input(d, x, grad_input=to))[kind]


def activation(arrays: Arrays, axes: dict) -> Work:
    forward, x = FORWARD[axes["kind"]], tensor(arrays["x"])
    out = torch.empty_like(x)

    def fault() -> str:
        # 1 + erf(x / sqrt 2) in float is off by a few units of 2, whatever is left of it.
        bound = EPSILON * (16 * abs(arrays["out"]) + (8 * abs(arrays["x"]) if axes["kind"] == 3 else 0))
        return difference("out", to_numpy(out), arrays["out"], bound)

    return Work(lambda: forward(x, out=out), fault)


def activation_backward(arrays: Arrays, axes: dict) -> Work:
    backward, d_out = backward_of(axes["kind"]), tensor(arrays["d_out"])
    kept = tensor(arrays["x" if axes["kind"] == 3 else "out"])
    d_x = torch.empty_like(d_out)

    def fault() -> str:  # f' is at most 1.13; PyTorch's 1 - out^2 and 1 + erf(x / sqrt 2) cancel
        return difference("d_x", to_numpy(d_x), arrays["d_x"], 16 * EPSILON * abs(arrays["d_out"]))

    return Work(lambda: backward(kept, d_out, d_x), fault)


if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, {"activation": activation, "activation_backward": activation_backward},
                     torch_common.prepare)
