"""Discrete Fourier transforms, as `torch.fft`. It is loaded at first use.

>>> rfft(tensor([1.0, 0.0, 0.0, 0.0])).abs()
tensor([1., 1., 1.])
"""

from .core.public import publish as _publish
from .functions.fourier import (
    fft,
    fft2,
    fftfreq,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftfreq,
    rfftn,
)
from .functions.outputs import OUT as _OUT

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_publish(globals(), __all__, out=_OUT["fft"])
