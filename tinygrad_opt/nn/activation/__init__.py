"""Activations: each a function, and beside it the module; the formulas are in `ops/activation.py`.

`inplace` is PyTorch's argument: here it saves nothing, and changes nothing. The result is that of
`inplace=False`, and the input keeps its values.
"""

from .distributions import *
from .piecewise import *
from .smooth import *
