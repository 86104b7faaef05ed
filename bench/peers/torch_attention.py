#!/usr/bin/env python3
"""scaled_dot_product_attention of a padded batch, by the fastest of PyTorch's backends.

Sequences are padded at their ends, so that the causal mask alone keeps padding out; padding and its removal are not
timed. Each backend (flash, cuDNN, efficient, math) is tried with heads inside and outside of the tokens' rows; those
that refuse the shape are left out.
"""
import sys
import time
import warnings

import numpy
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import peer_common
import torch_common
from peer_common import Arrays, Work, difference
from torch_common import tensor, to_numpy

BACKENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


class Batch:
    """Packed arrays as tensors [n_sequences, n_heads, longest, dim] and back."""

    def __init__(self, arrays: Arrays, axes: dict):
        offsets = arrays["offsets"]
        lengths = numpy.diff(offsets)
        self.rows = numpy.repeat(numpy.arange(len(lengths)), lengths)
        self.columns = numpy.arange(offsets[-1]) - numpy.repeat(offsets[:-1], lengths)
        self.shape = (len(lengths), axes["longest"], axes["n_heads"], axes["dim"])
        self.type = torch.bfloat16 if axes["bits"] == 16 else torch.float32

    def pad(self, values: numpy.ndarray, contiguous: bool) -> torch.Tensor:
        padded = numpy.zeros(self.shape, numpy.float32)
        padded[self.rows, self.columns] = values
        heads_first = tensor(padded).to(self.type).transpose(1, 2)
        return heads_first.contiguous() if contiguous else heads_first

    def unpad(self, values: torch.Tensor) -> numpy.ndarray:
        return to_numpy(values.float()).transpose(0, 2, 1, 3)[self.rows, self.columns]


def attend(leaves: list[torch.Tensor], backend: SDPBackend) -> torch.Tensor:
    with sdpa_kernel(backend):
        return torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=True)


def median_seconds(run) -> float:
    def once() -> float:
        if torch_common.device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if torch_common.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    return sorted(once() for _ in range(5))[2]


def fastest(make) -> object:
    """The run of the fastest backend and layout; make(backend, contiguous) gives one."""
    best = None
    for backend in BACKENDS:
        for contiguous in (False, True):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    run = make(backend, contiguous)
                    seconds = median_seconds(run)
            except RuntimeError:
                continue
            name = f"{backend.name.lower()}{' contiguous' if contiguous else ''}"
            print(f"torch: {name}: {seconds * 1e3:.3f} ms", file=sys.stderr)
            if best is None or seconds < best[0]:
                best = (seconds, run)
    return best[1]


def bound(arrays: Arrays, axes: dict, name: str) -> float:
    unit = 2.0 ** -5 if axes["bits"] == 16 else (axes["dim"] + axes["longest"]) * 2.0 ** -20
    return unit * max(1.0, float(abs(arrays[name]).max()))


def work(arrays: Arrays, axes: dict, forward: bool, backward: bool) -> Work:
    batch = Batch(arrays, axes)
    state = {}

    def make(backend: SDPBackend, contiguous: bool):
        leaves = [batch.pad(arrays[name], contiguous).requires_grad_(backward) for name in ("q", "k", "v")]
        d_out = batch.pad(arrays["d_out"], contiguous) if backward else None
        kept = None if forward else attend(leaves, backend)

        def run():
            out = attend(leaves, backend) if forward else kept
            state["out"] = out
            if backward:
                with sdpa_kernel(backend):
                    state["d_q"], state["d_k"], state["d_v"] = torch.autograd.grad(out, leaves, d_out, retain_graph=not forward)

        return run

    def fault() -> str:
        faults = (difference(name, batch.unpad(value), arrays[name], bound(arrays, axes, name)) for name, value in state.items())
        return next((fault for fault in faults if fault), "")

    return Work(fastest(make), fault)


WORKS = {
    "attention": lambda arrays, axes: work(arrays, axes, True, False),
    "attention_backward": lambda arrays, axes: work(arrays, axes, False, True),
    "attention_step": lambda arrays, axes: work(arrays, axes, True, True),
}

if __name__ == "__main__":
    peer_common.main("torch", torch_common.VERSIONS, WORKS, torch_common.prepare)
