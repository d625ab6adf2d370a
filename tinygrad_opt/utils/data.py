"""PyTorch's name for what stands in `tinygrad_opt/data/`."""

from ..data import *
from ..data import __all__ as __all__
