"""Whole training steps of sequence models: an LSTM, and a GPT that predicts the next token."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import Effort, Times, compare, report, table, verdict

# (model, what to print, aim for ours / torch)
MODELS = [
    ("lstm", "LSTM: 64 hidden, 32 steps, batch 32", 0.8),
    ("gpt", "GPT: 4 layers, 128 wide, 64 tokens, batch 16", 0.9),
]
LIBRARIES = ["ours", "torch"]
VOCABULARY = 64


def prepare(library: str, case: str) -> Callable:
    """Return one training step of the case's model on one batch of noise."""
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    torch.manual_seed(0)
    model, x, y = {"lstm": lstm, "gpt": gpt}[case](torch)
    fastest = {"fused": True} if library == "torch" else {}
    optimizer = torch.optim.Adam(model.parameters(), **fastest)
    criterion = torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        scores = model(x)
        criterion(scores.reshape(-1, scores.shape[-1]), y).backward()
        optimizer.step()

    return step


def lstm(torch) -> tuple:
    """Return a classifier of sequences by the LSTM's last output, and a batch."""
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 64, batch_first=True)
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            output, _ = self.lstm(x)
            return self.head(output[:, -1])

    random = np.random.default_rng(0)
    x = random.standard_normal((32, 32, 64), np.float32)
    return Classifier(), torch.tensor(x), torch.tensor(random.integers(10, size=32))


def gpt(torch) -> tuple:
    """Return a decoder-only transformer, as tutorials write it, and a batch of tokens."""
    nn, width, heads, length, layers = torch.nn, 128, 4, 64, 4
    F = nn.functional

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)

        def forward(self, x):
            batch = x.shape[0]
            parts = self.qkv(x).split(width, dim=2)
            q, k, v = (p.view(batch, length, heads, -1).transpose(1, 2) for p in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(batch, length, width))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention()
            self.feed_forward = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, width)
            self.places = nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, VOCABULARY)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.places(torch.arange(length))
            return self.head(self.norm(self.blocks(x)))

    random = np.random.default_rng(0)
    tokens = torch.tensor(random.integers(VOCABULARY, size=(16, length)))
    return GPT(), tokens, torch.tensor(random.integers(VOCABULARY, size=16 * length))


def row(model: tuple, times: Times) -> list[str]:
    """Return one line of the table."""
    _, name, aim = model
    cells = [name, *(f"{times.micro(library):,.0f}" for library in LIBRARIES)]
    ratio = times.ratio("ours", "torch")
    return [*cells, f"{ratio:.2f}", *verdict(ratio, aim)]


def main(effort: Effort) -> None:
    """Time both models and report."""
    results = compare("sequence_step", LIBRARIES, [case for case, *_ in MODELS], effort)
    head = ["model", "ours", "torch eager, fused Adam", "ours / torch", "aim", "met"]
    report(
        "sequence_step",
        effort,
        "# One whole training step of sequence models, float32",
        "Microseconds for forward, cross-entropy, backward, Adam's step and `zero_grad`.",
        table(head, [row(*pair) for pair in zip(MODELS, results, strict=True)]),
    )
