"""An earlier name of what stands in `tinygrad_opt/arrays/`."""

from .arrays.device import *
from .arrays.namespace import *
from .arrays.xp import *
