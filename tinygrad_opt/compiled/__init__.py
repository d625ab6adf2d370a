"""`compile(step)`: a whole training step as one generated function that can be read.

The way of a step, and the rooms on it:

    step       Compiled: which call runs eagerly, which is traced, which variant runs
    tree       tensors among arguments and results
    build      Variant: from a step to machine code, by way of all that follows
    tracing    running the step under trace: what is exchanged; stepping: optimizers, schedulers;
               stand_ins: random numbers, clipping; surroundings: what else it reads
    traced     the arrays of the traced run; operators, namespace: their functions;
               families, launches: convolution, pooling, recurrent layers, as calls of kernels;
               eager: what is a call of an eager kernel in Python
    trace      the record: values
    loops      what shares its elements
    memory     a place for each value
    nests      the text of a loop; row_pass: of its inner loop; elements: of one element
    calls      the text of products, of rows of tables, of copies
    text       the file, of segments; header: how it begins
    binding    the file's functions with their arrays; entry: looking and calling, in Python
    inspection what one may look at; timing: of each line
"""

from __future__ import annotations

from typing import Any

from ..nn.module import Module
from .values import CompileError

__all__ = ["CompileError", "compile"]


def compile(model: Any = None, *, strict: bool = False, **settings: Any) -> Any:
    """A training step as one generated function: forward, loss, backward, clipping, optimizer.

        @compile
        def step(x, y):
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    The first call runs as it stands, the second is traced and compiled, the others are one call of
    the generated function (`step.source()` shows it). Python in the step runs while it is traced
    and never again: what changes from call to call is an argument, as batches are, or memory of
    tensors, as parameters are. Settings of optimizers are read in each call, and schedulers step in
    each. A returned tensor is a value without a graph.

    model     the step, a function; a Module is returned as it is, since what there is to compile is
              the step around it
    strict    raise CompileError where the step, or a call of it, would run eagerly
    settings  of `torch.compile` (mode, fullgraph, dynamic, backend, options, disable): accepted

    Returns a `Compiled`. Raises TypeError for what cannot be called.
    """
    unknown = set(settings) - {"mode", "fullgraph", "dynamic", "backend", "options", "disable"}
    if unknown:
        raise TypeError(f"compile() got an unexpected keyword argument '{sorted(unknown)[0]}'")
    if model is None:
        return lambda model: compile(model, strict=strict, **settings)
    if isinstance(model, Module) or settings.get("disable"):
        return model
    if not callable(model):
        raise TypeError(f"compile: expected a function or a Module, got {type(model).__name__}")
    from .step import Compiled  # much to load, for those who compile

    return Compiled(model, strict)
