"""An earlier name of what stands in `tinygrad_opt/training/checkpoints.py`."""

from .training.checkpoints import *
from .training.checkpoints import __all__ as __all__
