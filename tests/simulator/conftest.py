"""numba-cuda is first imported as the library does it: NumPy 2.5 has lost a name that it reads."""

import importlib.util
import os

if importlib.util.find_spec("numba_cuda"):
    import tinygrad_opt.kernels.compiler.cuda  # noqa: F401

    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        import turns

        turns.install()
