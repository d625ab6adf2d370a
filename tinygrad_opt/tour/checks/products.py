"""Chapter 8: a bilinear form."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import autograd

from ..judging import Wrong, compare_gradients, need, values

SHAPES = "g is (n,): g[:, None] stands beside rows; gradients are (n, a), (a, b) and (n, b)"


def check(answer: Any) -> str:
    """The value, and three gradients, for sizes that are all different."""
    bilinear = need(answer, "bilinear")
    if not hasattr(bilinear, "pair"):
        raise Wrong("bilinear", "an operation", type(bilinear).__name__, "leave @op above it")
    rng = np.random.default_rng(0)
    x, w, y = (rng.normal(size=shape) for shape in ((4, 3), (3, 2), (4, 2)))
    returned = bilinear.pair(x, w, y)
    if not isinstance(returned, tuple) or len(returned) != 4:
        parts = len(returned) if isinstance(returned, tuple) else "no tuple"
        raise Wrong("what the pair returns", "the value and three pullbacks", parts)
    expected = np.einsum("na,ab,nb->n", x, w, y)
    values("bilinear(x, w, y)", bilinear(x, w, y), expected, "((x @ w) * y).sum(1)")

    def derive(weights: Any, *arrays: Any) -> Any:
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        total = (bilinear(*tensors) * torch.tensor(weights)).sum()
        try:
            return autograd.grad(total, tensors, allow_unused=True)
        except RuntimeError as error:
            raise Wrong("the pullbacks of bilinear", "gradients", error, SHAPES) from None

    compare_gradients("bilinear", bilinear, derive, [x, w, y], "xwy")
    return "three products, each of the only shape that fits"
