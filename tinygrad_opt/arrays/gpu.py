"""CuPy's namespace: what it does in its own way, or lacks.

The operations call it as they call NumPy's. What it does not say is `Namespace`, in array code.
"""

from __future__ import annotations

import importlib
from typing import Any

from .namespace import Namespace

__all__ = ["CupyNamespace"]


class CupyNamespace(Namespace):
    """CuPy, with the special functions of `cupyx`."""

    def erf(self, x: Any) -> Any:
        return _special("erf")(x)

    def erfc(self, x: Any) -> Any:
        return _special("erfc")(x)

    def erfinv(self, x: Any) -> Any:
        return _special("erfinv")(x)

    def lgamma(self, x: Any) -> Any:
        return _special("gammaln")(x)

    def polygamma(self, x: Any, n: int) -> Any:
        return _special("polygamma")(self.module.asarray(n, x.dtype), x)  # it takes no Python int


def _special(name: str) -> Any:
    return getattr(importlib.import_module("cupyx.scipy.special"), name)
