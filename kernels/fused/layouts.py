"""Arrays as the kernels' signatures want them."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(x: Any) -> Any:
    """x, copied unless it is contiguous, aligned and writable."""
    return x if x.flags.carray else np.array(x, order="C")


def gradient(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A gradient of that shape and type, as `plain`; ValueError if it does not broadcast to it."""
    if g.shape == shape and g.dtype is dtype and g.flags.carray:
        return g
    return np.array(np.broadcast_to(g, shape), dtype, order="C")
