#!/usr/bin/env python3
"""torch.optim.Adam over one dense parameter, in its fused form."""
import numpy
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference
from torch_common import tensor, to_numpy


def adam(arrays: Arrays, axes: dict) -> Work:
    parameters = torch.nn.Parameter(tensor(arrays["parameters"]))
    parameters.grad = tensor(arrays["grad"])
    learning_rate, beta1, beta2, eps, decay = (float(v) for v in arrays["adam"])
    optimizer = torch.optim.Adam([parameters], lr=learning_rate, betas=(beta1, beta2), eps=eps, weight_decay=decay, fused=True)

    def fault() -> str:
        before, grad = arrays["parameters"].astype(numpy.float64), arrays["grad"].astype(numpy.float64)
        g = grad + decay * before
        error = 2 * EPSILON * (abs(grad) + decay * abs(before))  # of g, which may turn the step's sign
        turn = numpy.minimum(2.0, 2 * error / numpy.maximum(abs(g) - error, 1e-30))
        bound = learning_rate * (1e-5 + turn) + 4 * EPSILON * abs(before)
        return difference("parameters", to_numpy(parameters), arrays["parameters_after"], bound)

    return Work(optimizer.step, fault)


if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, {"adam": adam}, torch_common.prepare)
