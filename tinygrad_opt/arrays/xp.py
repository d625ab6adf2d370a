"""`xp(x)`: the namespace of an array. The first file of the reading path; next: `core/node.py`.

No line of an operation names an array library. It asks `xp(x)` for the namespace that `x` belongs
to and calls NumPy's names on it: `xp(x).exp(x)`. So the same lines run on NumPy arrays, on CuPy's
and, when a derivative is itself differentiated, on Tensors, whose namespace is the package `ops`.
What a namespace offers beside NumPy's own names stands in `namespace.py`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .device import cupy
from .gpu import CupyNamespace
from .namespace import Namespace, _NumpyNamespace

__all__ = ["array_namespace", "xp", "xp_of"]


_NUMPY = _NumpyNamespace(np)


@functools.cache
def _cupy_namespace() -> Namespace:
    return CupyNamespace(cupy())


def xp(x: Any) -> Any:
    """The namespace of `x`: NumPy's for arrays and Python scalars, CuPy's, or that of Tensors."""
    kind = type(x)
    if kind is np.ndarray:
        return _NUMPY
    namespace = getattr(kind, "_namespace", None)  # Tensor names its own: the package `ops`
    if namespace is not None:
        return namespace
    return array_namespace(x)


def xp_of(x: Any, y: Any) -> Any:
    """`xp` of the one of the two that is not a Python scalar."""
    return xp(x if hasattr(x, "shape") else y)


def array_namespace(array: Any) -> Namespace:
    """`xp` for raw arrays."""
    if type(array).__module__.partition(".")[0] == "cupy":
        return _cupy_namespace()
    return _NUMPY


def same_library(a: Any, b: Any) -> bool:
    """Whether two raw arrays are both NumPy's or both CuPy's."""
    return type(a) is type(b) or array_namespace(a) is array_namespace(b)
