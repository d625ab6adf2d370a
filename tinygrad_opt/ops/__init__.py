"""The operations, by NumPy's names: what `xp(tensor)` answers to.

Each is one forward/pullback pair (see `core.record.op`). The public functions and methods, by
PyTorch's names, are thin wrappers over these.
"""

from __future__ import annotations

import functools
import sys

from ..arrays.fused_layers import Layers
from ..core import complexes as _rules  # which complex results go through
from ..core.record import mode as _recording
from ..kernels.fused import softmax as softmax_formulas
from ..kernels.pool import ahead as _ahead
from . import linalg
from .activation import *
from .arithmetic import *
from .attention import *
from .choice import *
from .complexes import *
from .dense import *
from .images import *
from .index import *
from .loss import *
from .mathematics import *
from .normalization import *
from .products import *
from .recurrent import *
from .reduce import *
from .rounding import *
from .running import *
from .shape import *
from .special import *

# The formulas of layers, and of what follows softmax, with this package as their namespace.
for _name, _formula in vars(Layers).items():
    if not _name.startswith("_"):
        globals()[_name] = functools.partial(_formula, sys.modules[__name__])
softmax_back, log_softmax_back = (
    functools.partial(formula, sys.modules[__name__])
    for formula in (softmax_formulas.softmax_back, softmax_formulas.log_softmax_back)
)

_ahead.gradients = lambda: _recording.enabled
