"""Functions that transform functions, by the names of `torch.func`.

All are made of reverse passes, which `transforms.py` composes; `vmap` is a loop. So they nest, and
they compute what PyTorch's compute, but not with its speed: there is no forward mode here, and no
batching of operations.
"""

from .stateless import functional_call, stack_module_state
from .transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp
from .vmap import vmap

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip
