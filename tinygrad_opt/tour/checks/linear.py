"""Chapter 11: a layer of low rank, and how it is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import nn

from ..judging import Wrong, need, same, values

SIZES = ((64, 48, 4), (200, 16, 8), (16, 100, 2))


def check(answer: Any) -> str:
    """Parameters, the formula, no bias, and the variance of what comes out."""
    kind = need(answer, "LowRankLinear", "a class")
    torch.manual_seed(0)
    layer = kind(5, 4, 2)
    if not isinstance(layer, nn.Module):
        raise Wrong("LowRankLinear(5, 4, 2)", "a Module", type(layer).__name__)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    wanted = {"down": (2, 5), "up": (4, 2), "bias": (4,)}
    registered = "each is an nn.Parameter; a plain tensor is not registered"
    same("its parameters", dict(sorted(shapes.items())), dict(sorted(wanted.items())), registered)
    values("its bias", layer.bias, np.zeros(4), "nn.Parameter(torch.zeros(out_features))")
    with torch.no_grad():
        layer.bias.copy_(torch.arange(4.0))
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    down, up = (p.detach().numpy().astype(float) for p in (layer.down, layer.up))
    product = x @ down.T @ up.T
    formula = "x @ down.T @ up.T + bias"
    values("LowRankLinear(5, 4, 2)(x), x (2, 3, 5)", layer(torch.tensor(x)),
           product + np.arange(4), formula, [(product, "the bias is not added")], 1e-5)  # fmt: skip
    bare = kind(5, 4, 2, bias=False)
    names = sorted(name for name, _ in bare.named_parameters())
    same("parameters with bias=False", names, ["down", "up"], "make a bias only if it is wanted")
    none = 'self.register_parameter("bias", None), or self.bias = None'
    same("its attribute bias", getattr(bare, "bias", "none of that name"), None, none)
    bare(torch.tensor(x))
    for size in SIZES:
        _variance(kind, *size)
    return "variance 1 in, variance 1 out, whatever the sizes"


def _variance(kind: Any, into: int, out: int, rank: int) -> None:
    x = torch.randn(256, into)
    found = float(np.mean([kind(into, out, rank)(x).detach().numpy().var() for _ in range(24)]))
    if not 0.75 < found < 1.33:
        hint = (
            f"a sum over n products has n times their variance: draw `down` with variance 1/{into} "
            f"(deviation {into}**-0.5) and `up` with 1/{rank}"
        )
        if 0.75 < found * 9 < 1.33:
            hint += "; uniform on +-1/sqrt(n) has variance 1/(3n), twice in a row that is 1/9"
        about = f"the variance of LowRankLinear({into}, {out}, {rank})(x), mean of 24 draws"
        raise Wrong(about, "0.75 to 1.33", f"{found:.3g}", hint)
