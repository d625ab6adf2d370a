"""PyTorch's name for what stands in `tinygrad_opt/autograd/recompute.py`."""

from ..autograd.recompute import *
from ..autograd.recompute import __all__ as __all__
