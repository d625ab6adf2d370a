"""Chapter 2: one function for NumPy's arrays and for Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch

from ..judging import Wrong, need, values

ASK = "np.name knows arrays alone; n = xp(x), and n.name gives arrays of arrays, Tensors of Tensors"


def check(answer: Any) -> str:
    """Values near 0 and far away, of arrays and Tensors, and the gradient."""
    softplus = need(answer, "softplus")
    x = np.array([-2.0, -0.5, 0.5, 3.0])
    with np.errstate(all="ignore"):
        found = softplus(x)
        if not isinstance(found, np.ndarray):
            raise Wrong("softplus of an array", "an array", type(found).__name__, ASK)
        values(f"softplus({x})", found, np.logaddexp(0, x), "the formula is log(1 + e^x)")
        far = np.array([1000.0, -1000.0])
        split = "log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): that exponent is never above 0"
        values(f"softplus({far})", softplus(far), [1000.0, 0.0], split)
        low = np.array([-40.0])
        digits = "1 + e^x is 1 there: log1p(y) is log(1 + y) and adds nothing to 1"
        values(f"softplus({low})", softplus(low), np.exp(low), digits)
    tensor = torch.tensor(x, requires_grad=True)
    try:
        made = softplus(tensor)
    except RuntimeError as error:
        if "numpy()" not in str(error):
            raise
        raise Wrong("softplus of a Tensor", "a Tensor", f"RuntimeError: {error}", ASK) from None
    if not isinstance(made, torch.Tensor):
        raise Wrong("softplus of a Tensor", "a Tensor", type(made).__name__, ASK)
    made.sum().backward()
    values("the gradient of softplus", tensor.grad, 1 / (1 + np.exp(-x)), ASK)
    return "the same lines on arrays and Tensors, and the gradient came by itself"
