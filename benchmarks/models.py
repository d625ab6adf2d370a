"""The networks of the benchmarks: as tutorials write them, in PyTorch's interface.

Each maker takes the library and returns a model, its input and the classes to predict. All random
numbers are those of seed 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

VOCABULARY = 64


def perceptron(torch, widths: list[int], batch: int) -> tuple:
    """Return fully connected layers with ReLU between them."""
    nn = torch.nn
    layers = [
        layer for sizes in itertools.pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1]), *noise(torch, (batch, widths[0]), widths[-1])


def convolutional(torch, side: int, batch: int) -> tuple:
    """Return two convolutions, each with ReLU and MaxPool, and a Linear."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, 10),
    )  # fmt: skip
    return model, *noise(torch, (batch, 1, side, side), 10)


def lstm(torch, batch: int) -> tuple:
    """Return a classifier of sequences by the LSTM's last output."""
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 64, batch_first=True)
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            output, _ = self.lstm(x)
            return self.head(output[:, -1])

    return Classifier(), *noise(torch, (batch, 32, 64), 10)


def gpt(torch, batch: int) -> tuple:
    """Return a decoder-only transformer of 4 layers, 128 wide, that reads 64 tokens."""
    return decoder(torch, batch, 128, 4, 64, 4)


def transformer(torch, batch: int) -> tuple:
    """Return the same of one layer, 16 wide, that reads 20 tokens."""
    return decoder(torch, batch, 16, 2, 20, 1)


def decoder(torch, batch: int, width: int, heads: int, length: int, layers: int) -> tuple:
    """Return a decoder-only transformer."""
    nn = torch.nn
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
            return self.head(self.norm(self.blocks(x))).reshape(-1, VOCABULARY)

    random = np.random.default_rng(0)
    tokens = torch.tensor(random.integers(VOCABULARY, size=(batch, length)))
    return GPT(), tokens, torch.tensor(random.integers(VOCABULARY, size=batch * length))


def noise(torch, shape: tuple[int, ...], classes: int) -> tuple:
    """Return an input of that shape, batch first, and a class for each of the batch."""
    random = np.random.default_rng(0)
    x = torch.tensor(random.standard_normal(shape, np.float32))
    return x, torch.tensor(random.integers(classes, size=shape[0]))


def training_step(torch, model, x, y) -> Callable:
    """Return forward, cross-entropy, backward, Adam's step and `zero_grad` as one function."""
    fastest = {"fused": True} if torch.__name__ == "torch" else {}
    optimizer = torch.optim.Adam(model.parameters(), **fastest)
    criterion = torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step
