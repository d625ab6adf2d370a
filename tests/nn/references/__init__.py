"""`nn.functional` once more, in plain NumPy: each function by its formula, in float64.

Names and arguments are those of `nn.functional`, so that a row of the tables can call either. They
are written for the eye, not for speed or for large numbers, and share no line with the package.
"""

from .activations import *
from .convolution import *
from .linear import *
from .losses import *
from .normalization import *
from .pooling import *
from .resizing import *
