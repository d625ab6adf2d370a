"""What can be read of an update rule: its oracle, its kernels' text, what compilers make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .compiler import cache
from .compiler.arguments import checked_dtype, counter_of
from .compiler.codegen import Target, function_name, render
from .compiler.oracle import reference

__all__ = ["Readable"]

_TARGETS: dict[str, Target] = {
    "cpu": "serial", "serial": "serial", "parallel": "parallel", "parts": "parts", "cuda": "cuda",
    "graph": "graph",
}  # fmt: skip


class Readable:
    """The part of `UpdateRule` that shows it, and launches nothing."""

    name: str
    draws: tuple[str, ...]
    function: Any
    _rule: Any
    _array_count: int
    _coefficient_count: int
    _check: Any
    _kernel: Any
    _narrow_kernel: Any
    _inspected: dict[np.dtype[Any], Any]

    def reference(
        self, arrays: Sequence[Any], coefficients: Sequence[float], *, seed: int | None = None,
        step: int = 0, origin: int = 0,
    ) -> None:  # fmt: skip
        """Do what `launch` does in plain Python, element by element: the oracle of the tests.

        It runs the rule itself on NumPy scalars. Equal to `launch` bit for bit on the CPU for
        + - * / % //, sqrt and uniform draws; exp, log and the like may differ in the last bit.
        """
        self._check(arrays, coefficients)
        if seed is not None or self.draws:
            counter_of(self, seed, step, origin)
        reference(self.function, self._rule, arrays, coefficients, (seed or 0, step, origin))

    def source(self, target: str = "cpu", dtype: Any = np.float32, narrow: bool = False) -> str:
        """Return the text of the generated kernel.

        Args:
            target: "cpu" or "serial" (the same), "parallel", "parts", "cuda", or "graph" (as
                "cuda", with coefficients that are read from memory).
            dtype: float32 or float64.
            narrow: the kernel of `launch_bfloat16`, float32; not of "parts".

        Raises:
            ValueError: `target` is none of these, or there is no such kernel.
        """
        if target not in _TARGETS:
            raise ValueError(
                f"{self.name}: target must be one of {', '.join(_TARGETS)}, got {target!r}"
            )
        dtype = checked_dtype(self.name, dtype)
        if self.draws and (narrow or target == "parts"):
            raise ValueError(f"{self.name}: a rule that draws has no such kernel")
        if narrow and (target == "parts" or dtype != np.float32):
            raise ValueError(f"{self.name}: states of 16 bits go with float32, and not with parts")
        return render(self._rule, _TARGETS[target], dtype.name, narrow=narrow)

    def llvm(self, dtype: Any = np.float32) -> str:
        """Return the optimised LLVM of the serial kernel."""
        return next(iter(self._inspectable(dtype).inspect_llvm().values()))

    def asm(self, dtype: Any = np.float32) -> str:
        """Return the serial kernel in this processor's assembly."""
        return next(iter(self._inspectable(dtype).inspect_asm().values()))

    def ptx(
        self, dtype: Any = np.float32, cc: tuple[int, int] = (8, 0), narrow: bool = False,
        graph: bool = False,
    ) -> str:  # fmt: skip
        """Return the PTX for compute capability `cc`; no GPU is needed, numba-cuda is.

        narrow: with states of 16 bits.  graph: with coefficients that are read from memory.
        """
        from .compiler import cuda

        dtype, target = checked_dtype(self.name, dtype), "graph" if graph else "cuda"
        kernel = self.device_kernel(dtype, narrow, target)
        counts = self._array_count, self._coefficient_count
        return cuda.ptx(kernel, *counts, dtype, cc, narrow, bool(self.draws), graph)

    def device_kernel(self, dtype: Any, narrow: bool = False, target: Any = "cuda") -> Any:
        """Return the kernel for "cuda" or for a "graph", compiled or from the cache."""
        return self._narrow_kernel(target) if narrow else self._kernel(target, dtype)

    def _inspectable(self, dtype: Any) -> Any:
        """Return the serial kernel compiled anew: what comes from the disk cache has no LLVM."""
        dtype = checked_dtype(self.name, dtype)
        if dtype not in self._inspected:
            text = render(self._rule, "serial", dtype.name, cache=False)
            self._inspected[dtype] = cache.compile_text(function_name(self._rule, "serial"), text)
        return self._inspected[dtype]
