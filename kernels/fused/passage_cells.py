"""One time step of recurrent layers, between the matrix products: loops over some rows.

The matrices are those of `passage_kernels.py`: m rows of n numbers, one for each hidden feature, or
of several times n, which are counted; ("z", 2) is the third gate. The state, h and c, and what the
way back has for its gradients, dh and dc, are those before the step and become those after it; dh
without what goes through u.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..functions import formulas
from ..functions.writing import Value, fma, select
from ..micro.elements import Elements, each
from ..micro.writer import Kind, Number, Writer

__all__ = ["MATRICES", "gru", "gru_back", "lstm", "lstm_back", "rnn", "rnn_back"]

# The matrices that a cell takes, and how many rows of n numbers stand side by side in each.
MATRICES = {
    "lstm": {"z": 4, "u": 4, "bias": 4, "h": 1, "c": 1, "h_before": 1, "c_before": 1, "kept": 1,
             "out": 1},
    "gru": {"z": 3, "u": 3, "bias": 6, "h": 1, "h_before": 1, "kept": 1, "out": 1},
    "rnn": {"z": 1, "u": 1, "bias": 1, "h": 1, "h_before": 1, "out": 1},
    "lstm_back": {"gates": 4, "c_before": 1, "kept": 1, "g": 1, "dh": 1, "dc": 1, "dz": 4},
    "gru_back": {"gates": 3, "h_before": 1, "kept": 1, "g": 1, "dh": 1, "dz": 3, "du": 3},
    "rnn_back": {"gates": 1, "g": 1, "dh": 1, "dz": 1},
}  # fmt: skip

# In float32 tanh is a quotient of two polynomials (Eigen's), which takes a third of the time: at
# most 5 ulp off, and ±1 where tanh rounds to it.
ABOVE = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
NEAR, FAR = 7.9053111, 9.0


class _Tanh:
    def __init__(self, kind: Kind) -> None:
        exact: Any = formulas.tanh(formulas.FLOAT64)
        self.of = exact if kind.dtype == "float64" else self._quotient

    def _quotient(self, x: Value) -> Any:
        v = select(x < -NEAR, -NEAR, x)  # a NaN is neither below nor above
        v = select(v > NEAR, NEAR, v)
        y = v * (_horner(v * v, ABOVE) / _horner(v * v, BELOW))
        y = select(x > FAR, 1.0, y)
        return select(x < -FAR, -1.0, y)

    def sigmoid(self, x: Value) -> Any:
        return fma(self.of(0.5 * x), 0.5, 0.5)

    def slope(self, y: Value) -> Any:
        return fma(-y, y, 1.0)


class _ReLU:
    def of(self, x: Value) -> Any:
        return select(x < 0, 0.0, x)

    def slope(self, y: Value) -> Any:
        return select(y > 0, 1.0, 0.0)


def _horner(x: Value, coefficients: tuple[float, ...]) -> Any:
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = fma(total, x, coefficient)
    return total


def _in_rows(cell: Callable[[Elements, Any], None]) -> Callable[..., None]:
    """Makes a function that writes `cell` for all elements of m rows.

    Its numbers are m, n, whether an RNN has relu in place of tanh, and where the matrices begin.
    """
    name = cell.__name__

    def write(
        f: Writer, kind: Kind, m: Number, n: Number, relu: Number, *starts: Number
    ) -> None:  # fmt: skip
        def rows(activation: Any) -> None:
            with f.loop(0, m) as r:
                places: dict[Any, Number] = {}
                for (matrix, count), start in zip(MATRICES[name].items(), starts, strict=True):
                    row = f.number(0) if matrix == "bias" else r
                    for i in range(count):
                        at = matrix if count == 1 else (matrix, i)
                        places[at] = start + (row * count + i) * n * kind.size
                with each(f, kind, n, places) as elements:
                    cell(elements, activation)

        if not name.startswith("rnn"):
            rows(_Tanh(kind))
            return
        with f.either(relu > 0) as (then, otherwise):
            with then:
                rows(_ReLU())
            with otherwise:
                rows(_Tanh(kind))

    return write


@_in_rows
def lstm(at: Elements, tanh: Any) -> None:
    """z becomes the gates i, f, g, o; kept tanh(c')."""
    i, forget, g, o = (at["z", k] + at["u", k] + at["bias", k] for k in range(4))
    i, forget, g, o = tanh.sigmoid(i), tanh.sigmoid(forget), tanh.of(g), tanh.sigmoid(o)
    c = at["c"]
    after = fma(forget, c, i * g)
    squashed = tanh.of(after)
    at["h_before"], at["c_before"] = at["h"], c
    at["z", 0], at["z", 1], at["z", 2], at["z", 3] = i, forget, g, o
    at["c"], at["kept"] = after, squashed
    at["h"] = at["out"] = o * squashed


@_in_rows
def gru(at: Elements, tanh: Any) -> None:
    """z becomes the gates r, z, n; kept the state's part of n."""
    (zr, zk, zn), (ur, uk, un) = ([at[name, k] for k in range(3)] for name in "zu")
    br, bk, bn, dr, dk, dn = (at["bias", k] for k in range(6))
    r, keep = tanh.sigmoid(zr + ur + (br + dr)), tanh.sigmoid(zk + uk + (bk + dk))
    kept, h = un + dn, at["h"]
    new = tanh.of(fma(r, kept, zn + bn))
    at["h_before"], at["kept"] = h, kept
    at["z", 0], at["z", 1], at["z", 2] = r, keep, new
    at["h"] = at["out"] = fma(keep, h - new, new)


@_in_rows
def rnn(at: Elements, activation: Any) -> None:
    """z becomes the new state."""
    h = activation.of(at["z"] + at["u"] + at["bias"])
    at["h_before"] = at["h"]
    at["h"] = at["out"] = at["z"] = h


@_in_rows
def lstm_back(at: Elements, tanh: Any) -> None:
    i, forget, g, o = (at["gates", k] for k in range(4))
    kept, dh = at["kept"], at["dh"] + at["g"]
    dc = fma(dh * o, tanh.slope(kept), at["dc"])
    at["dz", 0] = dc * g * (i * (1 - i))
    at["dz", 1] = dc * at["c_before"] * (forget * (1 - forget))
    at["dz", 2] = dc * i * tanh.slope(g)
    at["dz", 3] = dh * kept * (o * (1 - o))
    at["dc"] = dc * forget


@_in_rows
def gru_back(at: Elements, tanh: Any) -> None:
    r, keep, new = (at["gates", k] for k in range(3))
    dh = at["dh"] + at["g"]
    dn = dh * (1 - keep) * tanh.slope(new)
    dr = dn * at["kept"] * (r * (1 - r))
    dk = dh * (at["h_before"] - new) * (keep * (1 - keep))
    at["dz", 0], at["dz", 1], at["dz", 2] = dr, dk, dn
    at["du", 0], at["du", 1], at["du", 2] = dr, dk, dn * r
    at["dh"] = dh * keep


@_in_rows
def rnn_back(at: Elements, activation: Any) -> None:
    at["dz"] = (at["dh"] + at["g"]) * activation.slope(at["gates"])
