"""Special functions, as `torch.special`. It is loaded at first use.

>>> expit(tensor(0.0))
tensor(0.5000)
"""

from . import functions as _functions
from .core.public import publish as _publish
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
from .functions.outputs import TAKES_OUT as _TAKES_OUT
from .functions.outputs import let_out as _let_out
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
    _functions.logsumexp, _functions.softmax, _functions.log_softmax, _functions.round,
)  # fmt: skip

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc",
    "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

_publish(globals(), __all__)
_let_out(globals(), _TAKES_OUT["special"])
