"""Objects from one process to another; large arrays through memory that both can reach.

A pipe hands 64 KB at a time from process to process, which makes 10 MB cost 50 ms, most of it while
the trainer waits. So arrays of some size go into an anonymous file in memory (Linux: memfd) that
the worker fills whenever it is ready, and whose descriptor follows the message: 6 ms. It has no
name: nothing is left behind if either side is killed.
"""

from __future__ import annotations

import os
import pickle
import socket
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

__all__ = ["receive", "send"]

LARGE = 1 << 17  # bytes; below, the pipe is as fast
_SHARED = hasattr(os, "memfd_create") and hasattr(socket, "send_fds")


def send(connection: Connection, value: Any) -> None:
    """Pickles `value` into the connection. Nothing has been sent if that fails."""
    arrays: list[memoryview] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if _SHARED and view.nbytes >= LARGE:
            arrays.append(view)
            return False
        return True

    body = pickle.dumps(value, 5, buffer_callback=stays_inside)
    connection.send_bytes(pickle.dumps(([view.nbytes for view in arrays], body), 5))
    if arrays:
        _send_memory(connection, arrays)


def receive(connection: Connection) -> Any:
    """What the other side sent; its arrays can be written to, and belong to this process alone."""
    sizes, body = pickle.loads(connection.recv_bytes())
    return pickle.loads(body, buffers=_receive_memory(connection, sizes) if sizes else ())


def _socket(connection: Connection) -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=os.dup(connection.fileno()))


def _send_memory(connection: Connection, arrays: list[memoryview]) -> None:
    memory = os.memfd_create("batch")
    try:
        for view in arrays:
            while view:
                view = view[os.write(memory, view) :]
        with _socket(connection) as channel:
            socket.send_fds(channel, [b"m"], [memory])
    finally:
        os.close(memory)


def _receive_memory(connection: Connection, sizes: list[int]) -> list[Any]:
    with _socket(connection) as channel:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not descriptors:
        raise EOFError  # the other side died in between
    memory, at = descriptors[0], 0
    buffers = []
    try:
        for size in sizes:  # copied, for a mapping would hold a descriptor as long as the array
            buffer = np.empty(size, np.uint8)
            view = buffer.data
            while view:
                count = os.preadv(memory, [view], at)
                view, at = view[count:], at + count
            buffers.append(buffer)
    finally:
        os.close(memory)
    return buffers
