"""numba-cuda's simulator without a Python thread for each of CUDA's: they take turns in one.

The simulator's own runner starts a Python thread for each, and asks all of them again and again
whether they wait at a barrier, for 5 ms each time it has the floor: most of these tests' time went
there. Here a kernel with barriers becomes a generator that yields at each of them, and a block's
threads run in order, each to its next barrier or to its end: the same in every run.
"""

import ast
import functools
import inspect
import sys
import textwrap

import numpy as np
from numba.cuda.simulator import kernel, kernelapi


class Turn:
    """What `cuda.threadIdx` and its like read: the CUDA thread whose turn it is."""

    def __init__(self, grid_point, point, threads):
        self.blockIdx, self.threadIdx = kernelapi.Dim3(*grid_point), kernelapi.Dim3(*point)
        self.thread_id = point[0] + threads.x * (point[1] + threads.y * point[2])

    def syncthreads(self):
        raise NotImplementedError("a barrier must be a statement of the kernel: see turns.py")


class Turns:
    """Stands where the simulator looks for Python's `threading`."""

    now = None

    @classmethod
    def current_thread(cls):
        return cls.now


class Barriers(ast.NodeTransformer):
    """Makes of every statement `cuda.syncthreads()` a `yield`."""

    def visit_Expr(self, node):
        if ast.unparse(node) != "cuda.syncthreads()":
            return node
        return ast.copy_location(ast.Expr(ast.Yield()), node)


@functools.cache
def with_yields(function):
    tree = Barriers().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    tree.body[0].decorator_list = []
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    code = compile(ast.fix_missing_locations(tree), function.__code__.co_filename, "exec")
    # The simulator exchanges `cuda` among the function's own globals, which the new one shares.
    made = {}
    exec(code, function.__globals__, made)
    return made[function.__name__]


def run_block(self, grid_point, *arguments):
    """In place of `BlockManager.run`."""
    threads = kernelapi.Dim3(*self._block_dim)
    live = [Turn(grid_point, point, threads) for point in np.ndindex(*self._block_dim)]
    if "syncthreads" not in self._f.__code__.co_names:
        for Turns.now in live:
            self._f(*arguments)
        return
    running = {turn: with_yields(self._f)(*arguments) for turn in live}
    while running:
        for Turns.now, steps in list(running.items()):
            if next(steps, steps) is steps:  # its end; at a barrier it yields None
                del running[Turns.now]


def shared_array(self, shape, dtype):
    """In place of `FakeCUDAShared.array`, which reads the whole stack to find its caller's line."""
    line = sys._getframe(1).f_lineno
    if line not in self._allocations:
        if isinstance(dtype, kernelapi.types.Type):
            dtype = kernelapi.numpy_support.as_dtype(dtype)
        self._allocations[line] = np.empty(shape, dtype)
    return self._allocations[line]


def install():
    kernel.BlockManager.run = run_block
    kernelapi.FakeCUDAShared.array = shared_array
    kernelapi.threading = Turns
