"""Building networks, as `torch.nn`: modules, their functions, initialisation and clipping."""

import sys as _sys
from inspect import isclass as _isclass
from inspect import isfunction as _isfunction

from . import functional, init, utils
from .activation.distributions import *
from .activation.piecewise import *
from .activation.smooth import *
from .adaptive import *
from .average_pooling import *
from .batchnorm import *
from .bilinear import *
from .cells import *
from .containers import *
from .conv import *
from .conv_transpose import *
from .data_parallel import *
from .dropout import *
from .embedding import *
from .embedding_bag import *
from .fractional_pooling import *
from .lazy import *
from .linear import *
from .losses.classes import *
from .losses.ctc import *
from .losses.distances import *
from .losses.margins import *
from .losses.numbers import *
from .losses.probabilities import *
from .max_pooling import *
from .module import *
from .multihead_attention import *
from .normalization import *
from .padding import *
from .parameter import *
from .parameter_containers import *
from .reshape import *
from .resize import *
from .rnn import *
from .rnn_base import *
from .transformer import *
from .unfold import *

# The functions of these files are in `functional`; some hide the file that has their name.
for _name, _value in list(globals().items()):
    if _isfunction(_value) and not _name.startswith("_"):
        del globals()[_name]
        if f"{__name__}.{_name}" in _sys.modules:
            globals()[_name] = _sys.modules[f"{__name__}.{_name}"]

__all__ = sorted(
    name for name, value in globals().items()
    if not name.startswith("_") and name != "LazyModuleMixin"
    and (_isclass(value) or value in (functional, init, utils))
)  # fmt: skip
