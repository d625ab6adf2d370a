"""Where `tinygrad_opt.kernels` lies in a checkout without symbolic links (Git for Windows)."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def find_kernels(path: list[str]) -> None:
    """Imports `kernels/` from beside the package's folder where no link to it could be made.

    `path`: the package's `__path__`. Git writes a small text file in place of a link it cannot
    make; an installed package holds the folder itself. Appending the checkout to `__path__` would
    be shorter, and make `tests/` and `setup.py` modules of the package.
    """
    here, name = Path(path[0]), f"{__package__}.kernels"
    start = here.parent / "kernels" / "__init__.py"
    if name in sys.modules or not ((here / "kernels").is_file() and start.is_file()):
        return
    spec = spec_from_file_location(name, start, submodule_search_locations=[str(start.parent)])
    if spec is not None and spec.loader is not None:
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
