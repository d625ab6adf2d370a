"""The public functions on tensors, by PyTorch's names and arguments.

Each is a thin wrapper over the operations in `ops/`: it translates `dim` and `keepdim`, checks what
users get wrong, and composes. The files list their names in `__all__`; those names are public in
`tinygrad_opt`, and methods of Tensor but for a few (see `operators.py`).
"""

from ..core.public import public
from . import (
    arrange,
    comparison,
    contraction,
    cumulative,
    elementwise,
    index,
    matrices,
    padding,
    reduce,
    return_types,
    shape,
    sorting,
    statistics,
)
from . import arrange as moving
from . import arrange as splitting
from . import elementwise as rounding
from . import matrices as products
from .arrange import *
from .comparison import *
from .contraction import *
from .cumulative import *
from .elementwise import *
from .index import *
from .matrices import *
from .padding import *
from .reduce import *
from .shape import *
from .sorting import *
from .statistics import *

__all__: list[str] = []
__all__ += comparison.__all__
__all__ += cumulative.__all__
__all__ += comparison.__all__
__all__ += shape.__all__
__all__ += elementwise.__all__
__all__ += reduce.__all__
__all__ += index.__all__
__all__ += arrange.__all__
__all__ += matrices.__all__
__all__ += elementwise.__all__
__all__ += moving.__all__
__all__ += padding.__all__
__all__ += products.__all__
__all__ += reduce.__all__
__all__ += rounding.__all__
__all__ += shape.__all__
__all__ += sorting.__all__
__all__ += splitting.__all__
__all__ += statistics.__all__
__all__ += contraction.__all__

# What users call, in the one place where all come together; the files above call each other bare.
BARE = {name: globals()[name] for name in __all__}
for _name in __all__:
    globals()[_name] = public(globals()[_name], _name, module=__name__)
