"""OPS: one row for each differentiable operation and function, for the generic tests to run over.

A row's function takes the module first (`tinygrad_opt` or, in the peers tier, `torch`), since most
calls are spelled the same in both; `peer` is given where they are not. Samplers keep off kinks,
ties and poles, where finite differences say nothing.
"""

from op_rows.elementwise import ELEMENTWISE, THREE_INPUTS
from op_rows.index import INDEXING
from op_rows.linalg import PRODUCTS
from op_rows.loss import LOSSES
from op_rows.reduce import REDUCTIONS
from op_rows.shape import SHAPES

# Public functions without a gradient, for which the table needs no row.
NO_GRADIENT = {
    "all", "allclose", "any", "argmax", "argmin", "ceil", "eq", "equal", "floor", "ge", "gt",
    "isclose", "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "lt",
    "ne", "ones_like", "round", "sign", "zeros_like",
}  # fmt: skip


OPS = [*ELEMENTWISE, *THREE_INPUTS, *REDUCTIONS, *SHAPES, *INDEXING, *PRODUCTS, *LOSSES]
