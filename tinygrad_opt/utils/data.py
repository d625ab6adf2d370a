"""PyTorch's name for what stands in `tinygrad_opt/data/`."""

from ..data import *
from ..data import __all__ as _of_data
from ..distributed.sampler import DistributedSampler

__all__ = [*_of_data, "DistributedSampler"]
