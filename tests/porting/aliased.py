"""`import torch` that finds this package: for libraries written for PyTorch, unchanged."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import sys


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `torch.x` where `tinygrad_opt.x` is."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torch" or fullname.startswith("torch."):
            return importlib.util.spec_from_loader(fullname, self)
        return None

    def __init__(self):
        self._facts = {}

    def create_module(self, spec):
        module = importlib.import_module("tinygrad_opt" + spec.name.removeprefix("torch"))
        self._facts[module] = {
            name: getattr(module, name, None) for name in ("__spec__", "__loader__", "__package__")
        }
        return module

    def exec_module(self, module):
        """Gives the module, which has long been there, back what the import system overwrote."""
        vars(module).update(self._facts[module])


@contextlib.contextmanager
def torch_is_ours(*also):
    """In here `import torch` gives this package; modules imported meanwhile are forgotten after.

    also: names of libraries whose modules are imported anew.
    """
    roots = ("torch", *also)

    def named(name):
        return name.partition(".")[0] in roots

    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if named(name)}
    finder = _Alias()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if named(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
