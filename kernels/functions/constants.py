"""The numbers in the formulas, for each float type.

The polynomials are minimax fits of our own, of the relative error, found with Remez' exchange or
Lawson's weights in 20 digits and more, and rounded one coefficient after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["FLOAT32", "FLOAT64", "Constants"]


class Constants(NamedTuple):
    """The numbers of one float type; `typed` casts them to it."""

    type: Any
    magic: float  # 1.5 * 2^m, m the bits of the mantissa: added, it rounds to a whole number
    ln2: tuple[float, float]  # in two parts, the first with zeros at its end
    lowest: float  # below it exp is 0
    highest: float  # above it exp is infinite
    flat: float  # below -flat expm1 is -1, and above flat / 2 tanh is 1
    tiny: float  # the smallest normal number
    lift: float  # a power of two that makes every denormal normal ...
    lifted: float  # ... and its logarithm to base 2
    lower: float  # about half of the least exponent
    exponential: tuple[float, ...]  # (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
    logarithm: tuple[float, ...]  # (2 artanh(s) - 2 s) / s^3 of s^2, for |s| <= 3 - sqrt(8)
    erf_from: float  # the place up to which the first polynomial of erf holds
    erf_to: float  # above it erf is 1
    erf_near: tuple[float, ...]  # erf(x) / x - 1 of x^2
    erf_far: tuple[float, ...]  # (log(erfc(t)) + t) / t
    tanh_from: float  # the place up to which tanh is a polynomial
    tanh_near: tuple[float, ...]  # tanh(x) / x - 1 of x^2, without the constant 0
    bell_to: float  # above it e^(-x^2 / 2) is 0
    cdf_from: float  # the place up to which the normal distribution function is a polynomial
    cdf_near: tuple[float, ...]  # (the function - 1/2) / x of x^2
    tail: tuple[float, ...]  # (t + 4) e^(t^2 / 2) erfc(t / sqrt(2)) / 2 of (t - 4) / (t + 4)

    def typed(self, value: Any) -> Any:
        """A number, or a tuple of numbers, in the float type."""
        return tuple(map(self.type, value)) if isinstance(value, tuple) else self.type(value)


FLOAT32 = Constants(
    type=np.float32,
    magic=1.5 * 2**23,
    ln2=(6.9314575195e-01, 1.4286067653e-06),
    lowest=-105.0,
    highest=89.0,
    flat=20.0,
    tiny=2.0**-126,
    lift=2.0**24,
    lifted=24.0,
    lower=-64.0,
    exponential=(
        0.001382073387503624, 0.008368677459657192, 0.04166826605796814, 0.1666652113199234,
        0.4999999403953552,
    ),
    logarithm=(0.23553210496902466, 0.2853906750679016, 0.40000301599502563, 0.6666666865348816),
    erf_from=0.927734375,
    erf_to=4.0,
    erf_near=(
        -0.0005986872711218894, 0.00499291205778718, -0.026766858994960785, 0.11281837522983551,
        -0.3761249780654907, 0.12837915122509003,
    ),
    erf_far=(
        -1.1523563443915918e-05, 0.00032573167118243873, -0.0036543747410178185,
        0.02378728985786438, -0.10626620054244995, -0.6351335644721985, -0.12865287065505981,
    ),
    tanh_from=0.625,
    tanh_near=(
        -0.005692296661436558, 0.02062816731631756, -0.05373651534318924, 0.13331405818462372,
        -0.3333328068256378,
    ),
    bell_to=16.0,
    cdf_from=0.95,
    cdf_near=(
        9.120230242842808e-05, -0.0011624463368207216, 0.009961913339793682, -0.06648806482553482,
        0.39894214272499084,
    ),
    tail=(
        0.0001832464331528172, 0.0014844004763290286, -0.003514501266181469, -0.007509761955589056,
        0.06040465831756592, -0.1865239143371582, 0.3871367275714874, -0.607896625995636,
        0.7552851438522339,
    ),
)  # fmt: skip

FLOAT64 = Constants(
    type=np.float64,
    magic=1.5 * 2**52,
    ln2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
    lowest=-746.0,
    highest=710.0,
    flat=40.0,
    tiny=2.0**-1022,
    lift=2.0**54,
    lifted=54.0,
    lower=-512.0,
    exponential=(
        2.0924483168050886e-09, 2.5109090540099583e-08, 2.7557242631540943e-07,
        2.755724406155454e-06, 2.480158736070498e-05, 0.00019841269886266603,
        0.0013888888888866763, 0.008333333333321579, 0.0416666666666667, 0.16666666666666677, 0.5,
    ),
    logarithm=(
        0.14757975785934344, 0.15318097010803963, 0.18183394158949087, 0.22222202139512431,
        0.2857142870386699, 0.3999999999961188, 0.6666666666666698,
    ),
    erf_from=0.93,
    erf_to=6.0,
    erf_near=(
        -7.800840083009862e-10, 1.3722792117838039e-08, -1.6209133971971768e-07,
        1.6447512285322217e-06, -1.4924744233173596e-05, 0.00012055295298466917,
        -0.0008548325988972675, 0.005223977607408629, -0.026866170643274442, 0.11283791670945242,
        -0.3761263890318355, 0.12837916709551256,
    ),
    erf_far=(
        -2.0366323531118684e-13, 1.0062738739498108e-11, -2.342878211896149e-10,
        3.4173042457408304e-09, -3.499353494090135e-08, 2.668761538081744e-07,
        -1.565886838579697e-06, 7.171530918723743e-06, -2.5522553167087484e-05,
        6.796119982075218e-05, -0.00011743260838703375, 3.3151697119314696e-05,
        0.0005373557274573089, -0.0016588729376461778, 0.0001887576940006286,
        0.019136793548209154, -0.10277499594394902, -0.6366193431471552, -0.12837920332912542,
    ),
    tanh_from=0.625,
    tanh_near=(
        -1.6070079536492888e-05, 7.713901890264553e-05, -0.00022855925400782026,
        0.0005863139462594727, -0.0014549580368030182, 0.003591988999302385, -0.008863220979565186,
        0.02186948757422448, -0.053968253931182236, 0.13333333333261907, -0.33333333333332854,
    ),
    bell_to=40.0,
    cdf_from=0.95,
    cdf_near=(
        4.738931646755184e-12, -1.1423496160340931e-10, 2.2787614087714837e-09,
        -4.123501124863411e-08, 6.659767645774366e-07, -9.444660281947722e-06,
        0.0001154346889670609, -0.0011873282157527293, 0.009973557010066178, -0.06649038006690702,
        0.3989422804014327,
    ),
    tail=(
        3.6262026523883425e-08, -6.503671522435907e-08, -1.912476943621222e-07,
        2.670341274093052e-07, 1.0464689534949425e-06, -6.329247544361371e-07,
        -5.9295046743240294e-06, 7.1910394783638e-07, 3.514674711241751e-05,
        -1.908957866953349e-06, -0.0002310952096500549, 0.00013334441789047895,
        0.0016308184794359927, -0.003479692376013568, -0.007540188967722705, 0.06039657489129262,
        -0.18652185795963522, 0.3871374007422084, -0.6078966419718922, 0.7552851304157515,
    ),
)  # fmt: skip
