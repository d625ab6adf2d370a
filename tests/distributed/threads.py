"""Process groups of threads: the algorithms of `groups.py` without MPI, for any number of ranks."""

import queue
import threading

import numpy as np

from tinygrad_opt.distributed.groups import ProcessGroup


class ThreadGroup(ProcessGroup):
    """A rank that is a thread; messages go through queues, and match by sender and tag."""

    largest_tag = 2**15 - 1

    def __init__(self, size, rank, boxes):
        super().__init__(range(size), rank)
        self._boxes = boxes

    def swap(self, sends, receives, call):
        for array, to in sends:
            assert array.flags.c_contiguous
            self._box(self._rank, to, call.tag).put(array.tobytes())
        for array, source in receives:
            assert array.flags.c_contiguous
            data = self._box(source, self._rank, call.tag).get(timeout=60)
            assert len(data) == array.nbytes, (len(data), array.nbytes)
            array.view(np.uint8)[...] = np.frombuffer(data, np.uint8)

    def _box(self, *key):
        return self._boxes.setdefault(key, queue.Queue())  # one for both threads that ask at once


def together(size, work):
    """What `work(group)` returns on each of so many ranks; raises what one of them raised."""
    boxes = {}
    results, faults = [None] * size, []

    def run(rank):
        try:
            results[rank] = work(ThreadGroup(size, rank, boxes))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return results
