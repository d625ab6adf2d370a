"""The public functions on tensors, by PyTorch's names and arguments.

Each is a thin wrapper over the operations in `ops/`: it translates `dim` and `keepdim`, checks what
users get wrong, and composes. The files list their names in `__all__`; those names are public in
`tinygrad_opt`, and methods of Tensor but for a few (see `tensors/methods.py`).
"""

from ..core.public import public
from . import (
    arithmetic,
    arrange,
    choice,
    comparison,
    complexes,
    contraction,
    cumulative,
    diagonals,
    distances,
    elimination,
    index,
    joining,
    mathematics,
    matrices,
    padding,
    positions,
    reduce,
    return_types,
    shape,
    sorting,
    special,
    splitting,
    statistics,
)
from .arithmetic import *
from .arrange import *
from .choice import *
from .comparison import *
from .complexes import *
from .contraction import *
from .cumulative import *
from .diagonals import *
from .distances import *
from .elimination import *
from .index import *
from .joining import *
from .mathematics import *
from .matrices import *
from .outputs import OUT
from .padding import *
from .positions import *
from .reduce import *
from .shape import *
from .sorting import *
from .special import *
from .splitting import *
from .statistics import *

__all__: list[str] = []
for _room in (
    arithmetic, arrange, choice, comparison, complexes, contraction, cumulative, diagonals,
    distances, elimination, index, joining, mathematics, matrices, padding, positions, reduce,
    shape, sorting, special, splitting, statistics,
):  # fmt: skip
    __all__ += _room.__all__

# What users call, in the one place where all come together; the files above call each other bare.
BARE = {name: globals()[name] for name in __all__}
for _name in __all__:
    globals()[_name] = public(BARE[_name], _name, module=__name__, out=OUT[""].get(_name))
