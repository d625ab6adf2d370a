"""PyTorch's name for what stands in `tinygrad_opt/tensors/sparse.py` and `coordinates.py` there."""

from .tensors.sparse import *
from .tensors.sparse import __all__ as __all__
