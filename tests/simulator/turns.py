"""numba-cuda's simulator, its threads taking turns: each runs to its next barrier, or to its end.

The simulator's own runner asks a block's threads again and again whether they wait, and Python lets
it ask for 5 ms each time: most of these tests' time went there. Handing over takes microseconds,
and one order of the threads makes every run the same.
"""

import threading

import numpy as np
from numba.cuda.simulator import kernel as simulator


class Turned(simulator.BlockThread):
    """A thread of a block, which runs in `take_turn` alone."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.finished = False
        self._begins, self._ends = threading.Semaphore(0), threading.Semaphore(0)

    def take_turn(self):
        if self.ident is None:
            self.start()
        self._begins.release()
        self._ends.acquire()

    def run(self):
        self._begins.acquire()
        super().run()  # keeps what is raised in `exception`
        self.finished = True
        self._ends.release()

    def syncthreads(self):
        self._ends.release()
        self._begins.acquire()
        if self.abort:
            raise RuntimeError("another thread of the block has failed")


def run_block(self, grid_point, *arguments):
    """In place of `BlockManager.run`."""

    def target():
        self._f(*arguments)

    points = np.ndindex(*self._block_dim)
    live = [Turned(target, self, grid_point, point, self._debug) for point in points]
    while live:
        for thread in live:
            thread.take_turn()
            if thread.exception:
                stop([other for other in live if other.ident and not other.finished])
                raise thread.exception[0].with_traceback(thread.exception[1])
        live = [thread for thread in live if not thread.finished]


def stop(threads):
    for thread in threads:
        thread.abort = True
        thread.take_turn()


def install():
    simulator.BlockManager.run = run_block
