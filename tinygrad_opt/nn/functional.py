"""The layers as functions, gathered from the files of their families."""

# ruff: noqa: F403

from inspect import isclass as _isclass

from ..functions import pad as pad
from ..functions import pdist as pdist
from .activation.distributions import *
from .activation.inplace import *
from .activation.piecewise import *
from .activation.smooth import *
from .attention import *
from .average_pooling import *
from .batchnorm import *
from .bilinear import *
from .conv import *
from .conv_transpose import *
from .dropout import *
from .embedding import *
from .embedding_bag import *
from .fractional_pooling import *
from .grid_sample import *
from .linear import *
from .losses.classes import *
from .losses.ctc import *
from .losses.distances import *
from .losses.margins import *
from .losses.numbers import *
from .losses.probabilities import *
from .max_pooling import *
from .multihead_attention import *
from .normalization import *
from .resize import *
from .unfold import *

for _name, _value in list(globals().items()):
    if _isclass(_value):
        del globals()[_name]  # it is in `nn`

__all__ = sorted(name for name in globals() if not name.startswith("_"))
