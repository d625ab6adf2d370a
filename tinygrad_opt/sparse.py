"""PyTorch's name for what stands in `tensors/rowsparse.py` and `tensors/coordinates.py`."""

from .tensors.rowsparse import *
from .tensors.rowsparse import __all__ as __all__
