"""Linear algebra, as `torch.linalg`.

All take batches of matrices in the last two axes and have gradients, most of any order.

>>> A = tensor([[2.0, 0.0], [1.0, 4.0]])
>>> inv(A)
tensor([[ 0.5000,  0.0000],
        [-0.1250,  0.2500]])
"""

from .core.public import publish as _publish
from .functions.elimination import linalg_lu_solve as lu_solve
from .functions.elimination import lu, lu_factor, lu_factor_ex
from .functions.factorizations import (
    cholesky,
    cholesky_ex,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    svd,
    svdvals,
)
from .functions.factorizations import diagonal_of as diagonal
from .functions.inverses import (
    LinAlgError,
    det,
    inv,
    inv_ex,
    matrix_exp,
    matrix_power,
    slogdet,
    solve,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .functions.matrices import matmul
from .functions.norms import (
    cond,
    cross,
    matrix_norm,
    multi_dot,
    norm,
    vander,
    vecdot,
    vector_norm,
)  # fmt: skip
from .functions.outputs import OUT as _OUT

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig",
    "eigh", "eigvals", "eigvalsh", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex",
    "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip

# In PyTorch the first argument of these is called so; in formulas it is A.
_INPUT = (
    "cholesky", "cholesky_ex", "cond", "eig", "eigh", "eigvals", "eigvalsh", "lstsq", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "norm", "pinv", "solve_triangular", "tensorinv",
    "tensorsolve",
)  # fmt: skip
_NAMES = {name: {"A": "input"} for name in _INPUT} | {"vector_norm": {"x": "input"}}
_NAMES["lstsq"]["B"], _NAMES["tensorsolve"]["B"] = "b", "other"

_publish(globals(), __all__, _NAMES, _OUT["linalg"])
