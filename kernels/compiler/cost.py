"""How long a kernel of an update rule takes: what the pool asks before it wakes a thread.

On one core at about 3 GHz, with the arrays in the cache that all cores share: in the core's own it
is half of that, or less, and from memory twice as much.
"""

from __future__ import annotations

import re

from ..pool import USUAL
from .lower import lower
from .syntax import Rule

_ACCESS = 0.12  # nanoseconds, of a float32 number that is read or written
_SLOW = re.compile(r" / |\*\*|\b(?:sqrt|vector_\w+)\(")
_EACH = 0.06  # nanoseconds, of a division, a root, ...


def cost_of_part(rule: Rule, dtype: str, elements: int, narrow: bool = False) -> int:
    """Return how many nanoseconds the update of so many elements takes, about."""
    if narrow or rule.draws:  # it computes for as long again
        return USUAL
    lowered = lower(rule, dtype)
    slow = len(_SLOW.findall("\n".join((*lowered.lines, *lowered.outputs))))
    accesses = 3 + 2 * len(rule.states)
    width = 2 if dtype == "float64" else 1
    return max(int(elements * width * (_ACCESS * accesses + _EACH * slow)), 1)
