"""Who takes over the launches of update rules on a GPU in this thread: see `cuda/graphs`.

While a step is captured as a CUDA graph, a rule is launched with its coefficients in memory, where
each replay finds new ones; only who captures knows where.
"""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["recording"]


class _Recording(threading.local):
    """by: None, or what has `launch(rule, arrays, coefficients, whole, narrow)`."""

    by: Any = None


recording = _Recording()
