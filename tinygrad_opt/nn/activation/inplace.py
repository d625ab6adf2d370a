"""Activations that overwrite their input and return it: `relu_`, `leaky_relu_`, ..."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ...autograd.modes import no_grad
from ...core.public import public
from ...tensors.writing import change
from . import piecewise, smooth

__all__ = [
    "celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_",
]  # fmt: skip


def _in_place(name: str) -> Any:
    function = getattr(piecewise, name, None) or getattr(smooth, name)
    shown = inspect.signature(function)

    def form(input: Any, *args: Any, **kwargs: Any) -> Any:
        def write(array: Any) -> None:
            with no_grad():
                np.copyto(array, function(input, *args, **kwargs).array, casting="no")

        return change(input, f"{name}_", write, lambda x: function(x, *args, **kwargs))

    kept = [p for key, p in shown.parameters.items() if key != "inplace"]
    form.__wrapped__ = function  # type: ignore[attr-defined]  # whose module knows its annotations
    form.__signature__ = shown.replace(parameters=kept)  # type: ignore[attr-defined]
    form.__doc__ = f"Like `{name}`, in place."
    return public(form, f"{name}_", module=__name__)


celu_, elu_, hardtanh_, leaky_relu_, relu_, rrelu_, selu_, threshold_ = (
    _in_place(_name[:-1]) for _name in __all__
)
