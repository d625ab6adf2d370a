"""Random arguments of rules: an argument that is annotated `Normal` or `Uniform` is drawn.

    @update_rule
    def sgld(p, g, lr, z: Normal):
        return p - lr * g + sqrt(2 * lr) * z

    sgld.launch((p, g), (0.1,), seed=0, step=1)

The plain function takes the number as it takes all others, so a rule stays a function of numbers.
The kernel draws it anew for each element, with Philox-4x32-10 (`compiler/draws.py`): from the seed,
the step, the element's place, and which of the rule's random arguments it is.

Here stands the same in NumPy's calls: to look at what a kernel drew, and to hold the kernels to.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import numpy as np

from .compiler import draws

__all__ = ["Normal", "Uniform", "drawn", "philox"]

Uniform: TypeAlias = Annotated[float, draws.Draw("uniform")]
Normal: TypeAlias = Annotated[float, draws.Draw("normal")]

philox = draws.philox


def drawn(
    kind: str, seed: int, step: int, size: int, dtype: Any = np.float32, *, origin: int = 0,
    number: int = 0,
) -> Any:  # fmt: skip
    """Return what a kernel draws for `size` elements from place `origin` on.

    Args:
        kind: "uniform", from [0, 1), or "normal".
        seed: of 64 bits.
        step: of 32 bits.
        size: how many.
        dtype: float32 or float64; their numbers differ.
        origin: the place of the first element.
        number: which of the rule's random arguments, 0, 1, ...

    Raises:
        ValueError: of another kind.
    """
    dtype = np.dtype(dtype)
    if kind == "uniform":
        ((values,),) = (uniforms(kind, seed, step, size, dtype, origin, number),)
        return values
    if kind != "normal":
        raise ValueError(f'drawn: kind must be "uniform" or "normal", got {kind!r}')
    radius, angle = uniforms(kind, seed, step, size, dtype, origin, number)
    # In double: what is rounded once is what the kernels' roundings are measured against.
    turn = np.cos(2 * np.pi * angle.astype(np.float64))
    return (np.sqrt(-2 * np.log(radius.astype(np.float64))) * turn).astype(dtype)


def uniforms(
    kind: str, seed: int, step: int, size: int, dtype: np.dtype[Any], origin: int, number: int
) -> list[Any]:
    """Return the uniform numbers that a kernel's number of this kind is computed from."""
    places = np.arange(origin, origin + size, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    counter = (places & low, places >> np.uint64(32), step & 0xFFFFFFFF, number)
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    space: dict[str, Any] = {f"w{k}": word.astype(np.uint64) for k, word in enumerate(words)}
    space |= {t.__name__: t for t in (np.float32, np.float64, np.uint32, np.uint64)}
    found, names = [], [f"w{k}" for k in range(4)]
    for open_ in (True, False) if kind == "normal" else (False,):
        text, count = draws.uniform(names, dtype.name, open_)
        found.append(eval(text, space))
        del names[:count]
    return found
