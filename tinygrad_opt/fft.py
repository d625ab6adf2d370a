"""Discrete Fourier transforms, as `torch.fft`. It is loaded at first use.

>>> rfft(tensor([1.0, 0.0, 0.0, 0.0])).abs()
tensor([1., 1., 1.])
"""

from .core.public import publish as _publish
from .functions.fourier import *
from .functions.fourier import __all__ as _names

__all__ = [*_names]

_publish(globals(), __all__)
