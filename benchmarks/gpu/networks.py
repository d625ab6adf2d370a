"""Whole training steps of small networks, against PyTorch's, eager and as a CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.gpu.measure import Report, free, host, torch_with_cuda, wall

SECONDS = 55


class Network(NamedTuple):
    """How to build one from a library, the shape of a batch, tokens (0: numbers) and classes."""

    build: Callable[[Any], Any]
    batch: tuple[int, ...]
    tokens: int
    classes: int
    aim: bool = False  # a step is to be no slower than PyTorch's


def _mlp(width: int) -> Callable[[Any], Any]:
    def build(nn: Any) -> Any:
        return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                             nn.Linear(width, 10))  # fmt: skip

    return build


def _cnn(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 64, 10),
    )  # fmt: skip


def _gpt(nn: Any) -> Any:
    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(65, 128)
            layer = nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True, norm_first=True)
            self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
            self.head = nn.Linear(128, 65)

        def forward(self, tokens: Any) -> Any:
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device="cuda")
            hidden = self.layers(self.table(tokens), mask=mask, is_causal=True)
            return self.head(hidden).reshape(-1, 65)

    return GPT()


def _lstm(nn: Any) -> Any:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(32, 64, batch_first=True)
            self.head = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    return Recurrent()


NETWORKS = {
    "MLP 64, batch 32": Network(_mlp(64), (32, 64), 0, 10, aim=True),
    "MLP 256, batch 1437": Network(_mlp(256), (1437, 64), 0, 10, aim=True),
    "MLP 4096, batch 1024": Network(_mlp(4096), (1024, 64), 0, 10, aim=True),
    "GPT, 4 layers of 128, 16x64 tokens": Network(_gpt, (16, 64), 65, 65, aim=True),
    "CNN 32x32, batch 64": Network(_cnn, (64, 3, 32, 32), 0, 10),
    "LSTM 64, 50 steps, batch 8": Network(_lstm, (8, 50, 32), 0, 10),
}


def run(report: Report, quick: bool) -> None:
    """Time them; `quick` the first alone."""
    each(report, quick, SECONDS, _compare)


def each(report: Report, quick: bool, seconds: float, compare: Callable[..., None]) -> None:
    """Compare each network with PyTorch, until so much time has passed; `quick` the first alone."""
    torch, start = torch_with_cuda(), time.time()
    for name, network in list(NETWORKS.items())[: 1 if quick else None]:
        if time.time() - start > seconds:
            report.put(name, None, "left out: no time")
            continue
        with report.step(name, 25):
            compare(report, name, network, torch)


def _compare(report: Report, name: str, network: Network, torch: Any) -> None:
    import tinygrad_opt as tg

    step = _training(tg, network, {})
    first = float(step())
    step()
    ours, of_host = wall(step, 15, 2), host(step, 5, 2)
    last = float(step())
    note = f"host {of_host / 1e3:.2f} ms; loss {first:.3f} -> {last:.3f}"
    del step
    free()
    good: bool | None = last < first
    if torch:
        step = _training(torch, network, dict(fused=True, capturable=True))
        theirs = wall(step, 15, 2)
        note += f"; torch {theirs / 1e3:.2f} ms, its graph {_graphed(torch, step)}"
        note += f"; {ours / theirs:.2f} of torch's time"
        if network.aim:
            good = good and ours <= theirs
        del step
        free()
    report.put(name, good, f"{ours / 1e3:.2f} ms", note)


def _training(library: Any, network: Network, settings: dict) -> Callable[[], Any]:
    """A training step, as a function."""
    import numpy as np

    rng = np.random.default_rng(0)
    size = network.batch
    data = rng.integers(0, network.tokens, size) if network.tokens else rng.standard_normal(size)
    rows = data.size if network.tokens else size[0]
    dtype = library.int64 if network.tokens else library.float32
    x = library.tensor(data, dtype=dtype, device="cuda")
    y = library.tensor(rng.integers(0, network.classes, rows), device="cuda")
    library.manual_seed(0)
    model = network.build(library.nn).to("cuda")
    optimizer = library.optim.AdamW(model.parameters(), lr=1e-3, **settings)

    def step() -> Any:
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _graphed(torch: Any, step: Callable[[], Any]) -> str:
    """Milliseconds of a replay of the step as a CUDA graph, or why there is none."""
    try:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return f"{wall(graph.replay, 30, 2) / 1e3:.2f}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:80]
