"""`@update_rule`: one scalar function becomes a CPU kernel, a CUDA kernel and a plain oracle."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from . import pool, threads
from .compiler import cache
from .compiler.arguments import (
    WORDS,
    check_launch,
    checked_dtype,
    counter_of,
    is_device_array,
    refuse_other_byte_order,
)
from .compiler.codegen import CHUNK, Target, function_name, render
from .compiler.lower import lower
from .compiler.oracle import frozen
from .compiler.recording import recording
from .compiler.syntax import parse
from .fused.sums import bounds_of
from .pool import ahead
from .readable import Readable

_ON_DEVICE = ("cuda", "graph")
_PACKAGE = __name__.rpartition(".")[0] + "."
_READ = {"_array_count", "_array_names", "_coefficient_count", "_rule", "coefficients", "draws",
         "function", "states"}  # fmt: skip


class UpdateRule(Readable):
    """An update rule that runs fused over whole vectors; made by `update_rule`.

    Attributes:
        name: the function's name.
        states: names of the state vectors, in the order in which they are passed.
        coefficients: names of the scalars.  draws: of the random numbers, see `kernels.draws`.
    """

    states: tuple[str, ...]
    coefficients: tuple[str, ...]
    draws: tuple[str, ...]
    function: Any

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read and check the source of `function`; nothing is compiled yet."""
        self._source = function
        self.name = self.__name__ = getattr(function, "__name__", "?")
        self.__doc__ = function.__doc__
        self.__module__ = getattr(function, "__module__", "")
        self.__qualname__ = getattr(function, "__qualname__", self.name)
        # One dict per target, from dtype to kernel, filled at first use.
        self._serial: dict[np.dtype[Any], Any] = {}
        self._parallel: dict[np.dtype[Any], Any] = {}
        self._parts: dict[np.dtype[Any], Any] = {}
        self._kernels = {
            "serial": self._serial, "parallel": self._parallel, "parts": self._parts, "cuda": {},
            "graph": {},
        }  # fmt: skip
        self._narrow: dict[Target, Any] = {}  # with states of 16 bits
        self._on_device: dict[int, Any] = {}  # by the id of a launch's first array: the same again
        self._inspected = {}
        self._compiling = threading.Lock()
        self._reading = threading.RLock()
        own = (self.__module__ or "").startswith(_PACKAGE)
        if not own or type(function) is not FunctionType:
            self._read()

    def _read(self) -> None:
        self._rule, plain = parse(self._source)
        lower(self._rule, "float32")  # so a fault shows here and not at the first launch
        self.function = frozen(plain, self._rule)
        self.states = self._rule.states
        self.coefficients = self._rule.coefficients
        self.draws = tuple(name for name, _ in self._rule.draws)
        self._array_names = self._rule.arguments[: 2 + len(self.states)]
        self._array_count = len(self._array_names)
        self._coefficient_count = len(self.coefficients)

    def __getattr__(self, name: str) -> Any:
        """Read a rule of the package's own when something of it is first asked for.

        There are many; to read them all took a fifth of the time that the package's import takes.
        """
        if name in _READ:
            with self._reading:  # another thread may be at it
                if name not in vars(self):
                    self._read()
            return vars(self)[name]
        raise AttributeError(f"update rule {self.name!r} has no attribute {name!r}")

    def __reduce__(self) -> str:
        """Copied as itself and pickled by its name, as functions are."""
        return self.__qualname__

    def __repr__(self) -> str:
        """Show the rule's signature, as in `<update rule adam(p, g, m, v, lr) -> p, m, v>`."""
        arguments = ", ".join(self._rule.arguments)
        results = ", ".join((self._rule.arguments[0], *self.states))
        return f"<update rule {self.name}({arguments}) -> {results}>"

    def __call__(self, *scalars: Any) -> Any:
        """Run the rule on one element, as plain Python.

        Where the kernel has IEEE's inf or NaN, Python raises: ZeroDivisionError for 1 / 0,
        ValueError for sqrt(-1), OverflowError for exp(1000). NumPy's scalars do as the kernel does.
        """
        return self.function(*scalars)

    def launch(
        self, arrays: Sequence[Any], coefficients: Sequence[float], *, seed: int | None = None,
        step: int = 0, origin: int = 0,
    ) -> None:  # fmt: skip
        """Update parameter and states in place, in one pass over all arrays.

        Large arrays run on several threads, device arrays on the GPU (asynchronously, on CuPy's
        current stream). Serial and parallel kernels give the same bits. Arithmetic is IEEE's: 1 / 0
        is inf, sqrt(-1) is NaN, and no element can raise.

        Args:
            arrays: parameter, gradient, states...; 1-D, contiguous, all of one size and one dtype
                (float32 or float64); NumPy, or CuPy for the GPU. Where two overlap in part, an
                element may be read before or after its neighbour is written.
            coefficients: floats in the order of `self.coefficients`, each cast once to the
                arrays' dtype.
            seed, step, origin: of a rule that draws random numbers, and of no other: 64 and 32
                bits, and the place of the first element in the vector that these are a part of.

        Raises:
            TypeError: an array is of the wrong dtype, dimension, layout or device.
            ValueError: sizes differ, or there are too many or too few arrays or coefficients; or
                a seed is missing, too large, or of no use.
        """
        # The hot path: what Numba's dispatcher and the kernel check is not checked here as well.
        if len(arrays) != self._array_count or len(coefficients) != self._coefficient_count:
            self._check(arrays, coefficients)
        if seed is not None or self.draws:
            self._launch_drawing(arrays, coefficients, counter_of(self, seed, step, origin))
            return
        first = arrays[0]
        if not isinstance(first, np.ndarray):
            self._launch_on_device(arrays, coefficients)
            return
        try:
            if first.size >= threads.threshold:
                kernel = self._parallel.get(first.dtype) or self._kernel("parallel", first.dtype)
            else:
                kernel = self._serial.get(first.dtype) or self._kernel("serial", first.dtype)
            kernel(*arrays, *coefficients)
        except (TypeError, ValueError, OverflowError):  # no such definition, sizes, numbers
            self._check(arrays, coefficients)  # says which argument it means
            raise

    def soon(self, size: int, dtype: Any) -> None:
        """Have the kernel for NumPy's arrays of this size made beside what comes before it."""
        target: Target = "parallel" if size >= threads.threshold else "serial"
        if dtype not in self._kernels[target]:
            ahead.soon(self._kernel, target, dtype)

    def _launch_drawing(
        self, arrays: Sequence[Any], coefficients: Sequence[float], counter: tuple[int, ...]
    ) -> None:
        self._check(arrays, coefficients)
        on_host, dtype = isinstance(arrays[0], np.ndarray), arrays[0].dtype
        target: Target = "parallel" if arrays[0].size >= threads.threshold else "serial"
        if on_host:
            self._kernel(target, dtype)(*arrays, *coefficients, *counter)
        elif recording.by is not None:
            recording.by.launch(self, arrays, coefficients, counter)
        else:
            from .compiler.cuda import launch_drawing

            launch_drawing(self._kernel("cuda", dtype), arrays, coefficients, counter)

    def launch_parts(
        self, arrays: Sequence[Any], offsets: Sequence[int], coefficients: Sequence[Any]
    ) -> None:
        """Like `launch`, with coefficients that may differ from part to part of the arrays.

        Args:
            arrays: as for `launch`.
            offsets: where each part begins, and the end of the last: from 0 to the arrays' size.
            coefficients: for each a float, or a sequence with a float for each part.

        Raises:
            TypeError, ValueError: as `launch`, and ValueError where the offsets do not fit.
        """
        first, parts = arrays[0], len(offsets) - 1
        if self.draws:
            raise ValueError(f"{self.name}: a rule that draws has no launch by parts: use launch")
        if len(arrays) != self._array_count or len(coefficients) != self._coefficient_count:
            self._check(arrays, coefficients)
        if not isinstance(first, np.ndarray):
            self._launch_each(arrays, offsets, coefficients)
            return
        shared = first.size >= threads.threshold
        grain = pool.even_grain(first.size, CHUNK) if shared else max(first.size, 1)
        try:
            table = np.empty((parts, self._coefficient_count), first.dtype)
            for j, value in enumerate(coefficients):
                table[:, j] = value
            kernel = self._parts.get(first.dtype) or self._kernel("parts", first.dtype)
            kernel(*arrays, bounds_of(tuple(offsets)), table, grain)
        except (TypeError, ValueError):
            self._check(arrays, [0.0] * self._coefficient_count)
            raise ValueError(
                f"{self.name}: offsets must rise from 0 to the arrays' size, {first.size}, and a "
                f"coefficient be a number or {parts} of them; got offsets from {offsets[:1]} to "
                f"{offsets[-1:]}"
            ) from None

    def _launch_each(
        self, arrays: Sequence[Any], offsets: Sequence[int], coefficients: Sequence[Any]
    ) -> None:
        for k, (a, b) in enumerate(itertools.pairwise(offsets)):
            own = [float(c[k]) if hasattr(c, "__len__") else c for c in coefficients]
            self.launch([array[a:b] for array in arrays], own)

    def launch_bfloat16(
        self, arrays: Sequence[Any], coefficients: Sequence[float], key: int, origin: int = 0
    ) -> None:
        """Like `launch`, with states of 16 bits, which are rounded at random: see `bfloat16`.

        Args:
            arrays: parameter and gradient, float32; states, uint16.
            coefficients: as for `launch`.
            key: 32 random bits of this step, from `bfloat16.key_of`.
            origin: the place of the first element in the vector that these are a part of.

        Raises:
            TypeError, ValueError: as `launch`.
        """
        if self.draws:
            raise ValueError(f"{self.name}: a rule that draws keeps its states in full: use launch")
        if len(arrays) != self._array_count or len(coefficients) != self._coefficient_count:
            self._check(arrays, coefficients, narrow=True)
        first = arrays[0]
        if not isinstance(first, np.ndarray):
            self._check(arrays, coefficients, narrow=True)
            if recording.by is not None:
                recording.by.launch(self, arrays, coefficients, (key, origin), narrow=True)
                return
            from .compiler.cuda import launch_words

            kernel = self._narrow.get("cuda") or self._narrow_kernel("cuda")
            launch_words(kernel, arrays, coefficients, key, origin)
            return
        target: Target = "parallel" if first.size >= threads.threshold else "serial"
        try:
            kernel = self._narrow.get(target) or self._narrow_kernel(target)
            kernel(*arrays, *coefficients, key, origin)
        except (TypeError, ValueError, OverflowError):
            self._check(arrays, coefficients, narrow=True)
            raise

    def _kernel(self, target: Target, dtype: Any) -> Any:
        """Return the kernel for one target and dtype; compile it or fetch it from the cache."""
        dtype = checked_dtype(self.name, dtype)
        kernels = self._kernels[target]
        with self._compiling:
            if dtype not in kernels:
                load = pool.load if target in ("parallel", "parts") else cache.load
                kernel = load(
                    function_name(self._rule, target),
                    lambda on_disk: render(self._rule, target, dtype.name, on_disk),
                    _cuda_compiler() if target in _ON_DEVICE else "",
                )
                if target not in _ON_DEVICE:
                    count, rest = self._coefficient_count, [0.0] * self._coefficient_count
                    rest += [0] * (4 if self.draws else 0)
                    if target == "parts":
                        rest = [bounds_of((0,)), np.empty((0, count), dtype), 1]  # type: ignore[list-item]
                    refuse_other_byte_order(kernel, self._array_count, rest, dtype)
                kernels[dtype] = kernel
            return kernels[dtype]

    def _narrow_kernel(self, target: Target) -> Any:
        """Like `_kernel`, with states of 16 bits."""
        with self._compiling:
            if target not in self._narrow:
                load = pool.load if target == "parallel" else cache.load
                kernel = load(
                    function_name(self._rule, target, narrow=True),
                    lambda on_disk: render(self._rule, target, "float32", on_disk, narrow=True),
                    _cuda_compiler() if target in _ON_DEVICE else "",
                )
                if target not in _ON_DEVICE:
                    words = [np.empty(0, WORDS[0].newbyteorder()) for _ in self.states]
                    rest = [*words, *[0.0] * self._coefficient_count, 0, 0]
                    refuse_other_byte_order(kernel, 2, rest, np.float32)
                self._narrow[target] = kernel
            return self._narrow[target]

    def _launch_on_device(self, arrays: Sequence[Any], coefficients: Sequence[float]) -> None:
        if recording.by is not None:
            self._check(arrays, coefficients)
            recording.by.launch(self, arrays, coefficients)
            return
        known = self._on_device.get(id(arrays[0]))  # of a step over the arrays of the last one
        if known is not None and known(arrays, coefficients):
            return
        if not is_device_array(arrays[0]):
            self._check(arrays, coefficients)
        from .compiler import cuda

        if not cuda.fit(arrays, coefficients):
            self._check(arrays, coefficients)
        dtype = arrays[0].dtype
        kernel = self._kernels["cuda"].get(dtype) or self._kernel("cuda", dtype)
        try:
            cuda.launch(kernel, arrays, coefficients, dtype, self._on_device)
        except OverflowError:  # an int beyond float64
            self._check(arrays, coefficients)
            raise

    def _check(self, arrays: Any, coefficients: Sequence[float], narrow: bool = False) -> None:
        check_launch(self.name, self._array_names, arrays, self.coefficients, coefficients, narrow)


def _cuda_compiler() -> str:
    from .compiler import cuda

    return cuda.made_by()


def update_rule(function: Callable[..., Any]) -> UpdateRule:
    """Turn a scalar function into an `UpdateRule`, which runs fused over whole vectors.

    The function takes parameter, gradient, states... and coefficients..., and returns the
    parameter and the states: as many states as it returns values beyond the first. It may assign,
    branch, compare, compute (+ - * / ** % //) and call sqrt, exp, log, sin, floor, abs, min, max
    and the like, from `math`, NumPy or `kernels.functions`, and helpers of your own, plain or
    `@njit`, which are inlined. Last arguments annotated `draws.Normal` or `draws.Uniform` are
    random numbers, which the kernel draws. What a rule assigns, to a coefficient or to `g` too,
    ends with the element: only the returned values are written. Numbers in it, and numeric
    constants from outside as they are now, are cast to the dtype of the arrays. Loops, early
    returns (but in helpers), indexing and recursion are not possible.

    Raises:
        RuleError: the function cannot become a kernel; the text says why. A ValueError.

    Example:
        @update_rule
        def momentum(p, g, v, lr, beta):
            v = beta * v + g
            return p - lr * v, v

        momentum.launch((parameter, gradient, velocity), (0.1, 0.9))
    """
    return UpdateRule(function)
