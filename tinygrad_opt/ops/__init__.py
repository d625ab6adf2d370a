"""The operations, by NumPy's names: what `xp(tensor)` answers to.

Each is one forward/pullback pair (see `core.record.op`). The public functions and methods, by
PyTorch's names, are thin wrappers over these.
"""

from __future__ import annotations

import functools
import sys

from ..kernels.fused import recurrent as recurrent_steps
from ..kernels.fused import softmax as softmax_formulas
from . import linalg
from .activation import *
from .arithmetic import *
from .attention import *
from .choice import *
from .images import *
from .index import *
from .loss import *
from .mathematics import *
from .normalization import *
from .products import *
from .recurrent import *
from .reduce import *
from .shape import *

# Formulas with this package as their namespace: of recurrent layers, and of what follows softmax.
lstm_step, lstm_step_back, gru_step, gru_step_back, softmax_back, log_softmax_back = (
    functools.partial(formula, sys.modules[__name__])
    for formula in (
        recurrent_steps.lstm_step,
        recurrent_steps.lstm_step_back,
        recurrent_steps.gru_step,
        recurrent_steps.gru_step_back,
        softmax_formulas.softmax_back,
        softmax_formulas.log_softmax_back,
    )
)
