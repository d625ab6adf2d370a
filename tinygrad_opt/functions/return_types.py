"""The named tuples that functions with several results return, as `torch.return_types`.

>>> tensor([1.0, 3.0, 2.0]).max(0).indices
tensor(1)
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any


class _Result:
    """Prints one field a line, as PyTorch does."""

    __slots__ = ()
    _fields: tuple[str, ...]

    def __repr__(self) -> str:
        parts: Any = self
        fields = ",\n".join(f"{k}={v!r}" for k, v in zip(self._fields, parts, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{fields})"


def _result(name: str, *fields: str) -> Any:
    base: Any = namedtuple(name, fields)  # type: ignore[misc]  # mypy wants a literal name
    doc = f"What `{name}` returns: ({', '.join(fields)})."
    return type(name, (_Result, base), {"__slots__": (), "__doc__": doc, "__module__": __name__})


max, min, sort, topk, kthvalue, median, nanmedian, mode, cummax, cummin = (
    _result(name, "values", "indices")
    for name in (
        "max", "min", "sort", "topk", "kthvalue", "median", "nanmedian", "mode", "cummax", "cummin",
    )
)  # fmt: skip
aminmax = _result("aminmax", "min", "max")
frexp = _result("frexp", "mantissa", "exponent")
histogram = _result("histogram", "hist", "bin_edges")

slogdet, linalg_slogdet = (
    _result(name, "sign", "logabsdet") for name in ("slogdet", "linalg_slogdet")
)
qr, linalg_qr = (_result(name, "Q", "R") for name in ("qr", "linalg_qr"))
svd, linalg_svd = _result("svd", "U", "S", "V"), _result("linalg_svd", "U", "S", "Vh")
linalg_lu, lu_unpack = (_result(name, "P", "L", "U") for name in ("linalg_lu", "lu_unpack"))
linalg_lu_factor = _result("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex = _result("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_eig = _result("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = _result("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_inv_ex = _result("linalg_inv_ex", "inverse", "info")
linalg_cholesky_ex = _result("linalg_cholesky_ex", "L", "info")
linalg_lstsq = _result("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
