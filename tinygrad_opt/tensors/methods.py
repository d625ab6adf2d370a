"""The table of methods: what is a method of Tensor, and which function it is.

Eighth of the reading path; next: `nn/module.py`. `Tensor` itself stands on the ground floor and
knows its fields only. What it can do is bound to it here, once: every public function is a method
of the same name, but for those in NOT_METHODS; operators are the operations in `ops` (`x + y` is
`ops.add`); and what is not a function stands in classes of methods, in the files of this folder.
"""

from __future__ import annotations

from .. import functions, ops
from ..core.public import name_methods, public
from ..core.tensor import Tensor
from .container import Container
from .conversion import Conversions
from .gradients import Gradients
from .inplace import InPlace
from .interchange import Interchange
from .memory import Description
from .operators import Operators
from .other_kinds import OtherKinds
from .typed import Constructor

__all__ = ["METHODS", "NOT_METHODS"]

# Functions that are not methods: of several tensors, of none, or of something else first.
NOT_METHODS = {
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors",
    "bucketize", "cartesian_prod", "cat", "cdist", "chain_matmul", "column_stack", "combinations",
    "complex", "concat", "concatenate", "constant_pad_nd", "cumulative_trapezoid", "dstack",
    "einsum", "gradient", "hstack", "imag", "is_tensor", "isin", "lu_unpack", "meshgrid", "pad",
    "pdist", "polar", "polygamma", "real", "result_type", "row_stack", "rsub", "searchsorted",
    "split", "stack", "std_mean", "tensordot", "threshold", "trapezoid", "trapz", "unravel_index",
    "vander", "var_mean", "view_as_complex", "view_as_real", "vstack", "where",
}  # fmt: skip

METHODS = (Operators, Gradients, Conversions, Container, InPlace, Description, Interchange,
           OtherKinds, Constructor)  # fmt: skip


class _Empty:
    """What stands in every class is not a method."""

    __slots__ = ()


_NOT_BOUND = {*vars(_Empty), "__annotations__", "__hash__", "array"}


def _bind() -> None:
    for name in functions.__all__:
        if name not in NOT_METHODS:
            setattr(Tensor, name, public(functions.BARE[name], name, "Tensor", __name__))
    for methods in METHODS:
        name_methods(methods)
        for name, method in vars(methods).items():
            if name not in _NOT_BOUND:
                setattr(Tensor, name, method)
    for method in vars(InPlace).values():
        if hasattr(method, "like"):
            method.__wrapped__ = getattr(Tensor, method.like)  # its arguments are shown
    Tensor._namespace = ops


_bind()
