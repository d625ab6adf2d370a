"""Special functions, as `torch.special`. It is loaded at first use.

>>> expit(tensor(0.0))
tensor(0.5000)
"""

from .core.public import publish as _publish
from .functions import BARE as _BARE
from .functions.mathematics import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    lgamma,
    log1p,
    logit,
    mvlgamma,
    polygamma,
    sigmoid,
    sinc,
    xlogy,
)
from .functions.outputs import OUT as _OUT
from .functions.special import (
    entr,
    erfcx,
    i0,
    i0e,
    i1,
    i1e,
    igamma,
    igammac,
    log_ndtr,
    ndtr,
    ndtri,
    spherical_bessel_j0,
    xlog1py,
    zeta,
)

expit, gammaln, multigammaln, psi = sigmoid, lgamma, mvlgamma, digamma
gammainc, gammaincc = igamma, igammac
logsumexp, softmax, log_softmax, round = (
    _BARE[name] for name in ("logsumexp", "softmax", "log_softmax", "round")
)

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc",
    "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

_publish(globals(), __all__, out=_OUT["special"])
