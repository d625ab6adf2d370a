"""PyTorch's name for what stands in `tinygrad_opt/arrays/random.py`."""

from .arrays.random import *
from .arrays.random import __all__ as __all__
