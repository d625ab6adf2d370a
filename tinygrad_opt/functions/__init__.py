"""The public functions on tensors, by PyTorch's names and arguments.

Each is a thin wrapper over the operations in `ops/`: it translates `dim` and `keepdim`, checks what
users get wrong, and composes. The files list their names in `__all__`; those names are public in
`tinygrad_opt`, and methods of Tensor but for a few (see `operators.py`).
"""

from ..public import public
from . import (
    comparison,
    cumulative,
    description,
    diagonals,
    elementwise,
    extremes,
    index,
    joining,
    linalg,
    mathematics,
    moving,
    padding,
    products,
    reduce,
    return_types,
    rounding,
    shape,
    sorting,
    splitting,
    statistics,
    summation,
)
from .comparison import *
from .cumulative import *
from .description import *
from .diagonals import *
from .elementwise import *
from .extremes import *
from .index import *
from .joining import *
from .linalg import *
from .mathematics import *
from .moving import *
from .padding import *
from .products import *
from .reduce import *
from .rounding import *
from .shape import *
from .sorting import *
from .splitting import *
from .statistics import *
from .summation import *

__all__: list[str] = []
__all__ += comparison.__all__
__all__ += cumulative.__all__
__all__ += description.__all__
__all__ += diagonals.__all__
__all__ += elementwise.__all__
__all__ += extremes.__all__
__all__ += index.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += mathematics.__all__
__all__ += moving.__all__
__all__ += padding.__all__
__all__ += products.__all__
__all__ += reduce.__all__
__all__ += rounding.__all__
__all__ += shape.__all__
__all__ += sorting.__all__
__all__ += splitting.__all__
__all__ += statistics.__all__
__all__ += summation.__all__

# What users call, in the one place where all come together; the files above call each other bare.
BARE = {name: globals()[name] for name in __all__}
for _name in __all__:
    globals()[_name] = public(globals()[_name], _name, module=__name__)
