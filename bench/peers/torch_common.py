"""PyTorch on the device at hand."""
import numpy
import torch

from peer_common import SWEEP_BYTES, CpuClock

VERSIONS = f"torch {torch.__version__}, numpy {numpy.__version__}"
device = torch.device("cpu")


class CudaClock:
    """Device events, short calls in batches, as sheaf_bench."""

    batch_seconds = 1e-3

    def __init__(self):
        self.other_data = torch.zeros(SWEEP_BYTES // 4, device=device)

    def sweep(self) -> None:
        self.other_data.zero_()

    def seconds(self, run, calls: int) -> float:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        for _ in range(calls):
            run()
        stop.record()
        torch.cuda.synchronize()
        return start.elapsed_time(stop) * 1e-3


def prepare(name: str, threads: int):
    global device
    torch.set_num_threads(threads)
    device = torch.device(name)
    return CpuClock() if name == "cpu" else CudaClock()


def tensor(array) -> torch.Tensor:
    return torch.from_numpy(array).to(device)


def to_numpy(values: torch.Tensor) -> numpy.ndarray:
    return values.detach().cpu().numpy()
