"""Arrays as the kernels' signatures want them."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(x: Any) -> Any:
    """x, copied unless it is contiguous, aligned and writable."""
    return x if x.flags.carray else np.array(x, order="C")
