"""`compile(step)`: a whole training step as one generated function that can be read."""

from .step import Compiled, CompileError, compile

__all__ = ["CompileError", "Compiled", "compile"]
