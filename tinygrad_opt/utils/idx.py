"""An earlier name of what stands in `tinygrad_opt/data/idx.py`."""

from ..data.idx import *
from ..data.idx import __all__ as __all__
