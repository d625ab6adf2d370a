"""Activations: each a function, and beside it the module; the formulas are in `ops/activation.py`.

`inplace` is PyTorch's argument: here it saves nothing, and changes nothing. The result is that of
`inplace=False`, and the input keeps its values.
"""

from . import distributions, piecewise, smooth
from .distributions import *
from .piecewise import *
from .smooth import *

__all__ = [*distributions.__all__, *piecewise.__all__, *smooth.__all__]
