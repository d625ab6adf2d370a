"""Chapter 4: the straight-through estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch

from ..judging import Wrong, need, same, values


def check(answer: Any) -> str:
    """The value is rounded, the gradient is whole, x is untouched."""
    round_through = need(answer, "round_through")
    data = np.array([-1.4, 0.3, 0.8, 2.6])
    x = torch.tensor(data, requires_grad=True)
    y = round_through(x)
    if not isinstance(y, torch.Tensor):
        raise Wrong("round_through of a Tensor", "a Tensor", type(y).__name__)
    values("round_through(x)", y, np.round(data), "x.round() rounds")
    values("x afterwards", x, data, "x itself must stay: `x.data = ...` changes what others hold")
    same("x afterwards", x.is_leaf, True, "x must stay a leaf")
    lost = "detach() cut x off as well: only what is added to x may be without history"
    if not y.requires_grad:
        raise Wrong("round_through(x).requires_grad", True, False, lost)
    weights = np.array([1.0, -2.0, 3.0, 0.5])
    (y * torch.tensor(weights)).sum().backward()
    flat = "rounding is flat: x.round() stands in the graph; detach the part that is added to x"
    twice = [(2 * weights, "x is in the graph twice: detach all of what you add to it")]
    values("the gradient by x", x.grad, weights, flat, twice)
    return "rounded forwards, untouched backwards"
