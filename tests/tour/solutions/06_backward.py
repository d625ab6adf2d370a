import heapq

import numpy as np


def gradients(y):
    pending, waiting = {y.node: np.ones_like(y.array)}, [(y.node.rank, y.node)]
    while waiting:
        node = heapq.heappop(waiting)[1]
        g = pending.pop(node)
        for x, pullback in zip(node.targets, node.output[1:], strict=True):
            if x is None:
                continue
            key = x.node or x
            if key is x.node and key not in pending:
                heapq.heappush(waiting, (key.rank, key))
            pending[key] = pending.get(key, 0) + pullback(g)
    return pending
