"""PyTorch's name for what stands in `tinygrad_opt/tensors/sparse.py` and `coordinates.py` there."""

from .tensors.sparse import *
from .tensors.sparse import __all__ as __all__
from .tensors.sparse import sparse_coo_tensor

FloatTensor = DoubleTensor = LongTensor = sparse_coo_tensor  # old names, in many scripts
