"""Garbage collection rests while the package is loaded."""

import gc


class Pause:
    """No collection while an instance lives: it would walk the half million objects of Numba.

    What was loaded stays, so it is counted among the old objects, unseen. The pause ends also where
    loading fails: the names of a module that could not be imported are dropped, this one with them.
    """

    def __init__(self) -> None:
        self._collects = gc.isenabled()
        gc.disable()

    def __del__(self) -> None:
        if self._collects:
            if not gc.get_freeze_count():  # somebody's frozen objects stay so
                gc.freeze()
                gc.unfreeze()
            gc.enable()
