"""The witness of a job: a small process that knows which rank has died, and tells the others.

Rank 0 starts it as a script, in a session of its own: launchers kill all ranks at once when one is
gone, often before any could say which; the witness is none of theirs, and writes one line to the
job's error stream. Each rank holds a connection to it. The system closes that when a process ends,
however it ends, and keeps looking whether the other machine is there. Nothing is sent while all is
well: a rank that has waited for a second says at which call, and where the ranks wait for each
other at different calls, the witness says so.

It imports nothing but the standard library: it has to start quickly, and to live on.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress

PATIENCE = 5.0  # seconds for which nobody moves before different calls count as a deadlock
START = 120.0  # seconds in which all ranks have to come


def keep_looking(connection):
    """Let the system find out within 15 s that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Rank:
    """One rank: its connection, and what it said last."""

    def __init__(self, connection):
        self.connection = connection
        self.number = None  # until it has said hello
        self.place = ""
        self.text = b""  # of a message that has not come whole
        self.at: dict = {}  # "group", "ranks", "call", "what", while it waits
        self.since = 0.0
        self.left = False
        self.gone = False  # whether its connection is closed

    def tell(self, **message):
        with suppress(OSError):  # it is gone: that is told by the end of its connection
            self.connection.sendall(json.dumps(message).encode() + b"\n")


class Witness:
    """The process: `run` until no rank is there."""

    def __init__(self, listener, size, token):
        self.listener, self.size, self.token = listener, size, token
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.ranks = {}  # by number
        self.strangers = set()
        self.stopped = {}  # what ranks were told, once they were

    def run(self):
        limit = time.monotonic() + START
        while True:
            waiting = any(rank.at for rank in self.ranks.values())
            listening = len(self.ranks) < self.size
            for key, _ in self.selector.select(0.5 if waiting or listening else None):
                if key.fileobj is self.listener:
                    self.accept()
                elif not key.data.gone:
                    self.read(key.data)
            if waiting and not self.stopped:
                self.compare()
            if not self.ranks and not (self.strangers or listening):
                return
            if listening and time.monotonic() > limit:
                self.stop(None, f"only {len(self.ranks)} of {self.size} ranks came")
                return
            if listening and not self.ranks and os.getppid() == 1:
                return  # who started it is gone

    def accept(self):
        connection, _ = self.listener.accept()
        keep_looking(connection)
        rank = Rank(connection)
        self.strangers.add(rank)
        self.selector.register(connection, selectors.EVENT_READ, rank)

    def read(self, rank):
        try:
            data = rank.connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.ended(rank)
            return
        *lines, rank.text = (rank.text + data).split(b"\n")
        for line in lines:
            self.hear(rank, json.loads(line))

    def hear(self, rank, message):
        if rank.number is None:
            if message.get("token") != self.token:
                self.forget(rank)
                return
            rank.number, rank.place = message["rank"], message["place"]
            self.strangers.discard(rank)
            self.ranks[rank.number] = rank
            if self.stopped:
                rank.tell(**self.stopped)
            if len(self.ranks) == self.size:
                self.selector.unregister(self.listener)
                self.listener.close()
        elif "at" in message:
            rank.at, rank.since = message["at"], time.monotonic()
        elif "on" in message:
            rank.at = {}
        elif "failed" in message:
            rank.at, rank.left = {}, True
            self.stop(rank.number, f"rank {rank.number} ({rank.place}) stopped: "
                      f"{message['failed']}")  # fmt: skip
        elif "left" in message:
            rank.at, rank.left = {}, True
            if all(other.left for other in self.ranks.values()):
                for other in self.ranks.values():
                    other.tell(all_left=True)

    def ended(self, rank):
        """A connection has ended: the process has, or its machine."""
        self.forget(rank)
        if rank.number is not None and not rank.left:
            self.stop(
                rank.number,
                f"rank {rank.number} ({rank.place}) died: its process was killed, or has crashed",
            )

    def forget(self, rank):
        if rank.gone:
            return
        rank.gone = True
        self.selector.unregister(rank.connection)
        rank.connection.close()
        self.strangers.discard(rank)
        if rank.number is not None:
            self.ranks.pop(rank.number, None)
            self.size -= 1
        if self.stopped and all(other.left for other in self.ranks.values()):
            for other in tuple(self.ranks.values()):  # who stopped first has waited for the others
                self.forget(other)

    def compare(self):
        """Stop the job where the ranks of a group wait at calls that do not go together."""
        groups: dict[str, list[Rank]] = {}
        for rank in self.ranks.values():
            if rank.at:
                groups.setdefault(rank.at["group"], []).append(rank)
        for waiting in groups.values():
            calls = {rank.at["call"]: rank for rank in waiting}
            for rank in waiting:
                other = calls[rank.at["call"]]
                if other.at["what"] != rank.at["what"]:
                    self.differ(rank, other)
                    return
            members = {n: self.ranks.get(n) for n in waiting[0].at["ranks"]}
            still = all(m is None or m.left or m.at for m in members.values())
            quiet = time.monotonic() - max(rank.since for rank in waiting) > PATIENCE
            gone = [n for n, m in members.items() if m is None or m.left]
            if still and quiet and gone:
                self.stop(None, f"rank {gone[0]} has ended its program, while "
                          f"{self.position(waiting[0])}: did it have fewer batches?")  # fmt: skip
                return
            if still and quiet and len(calls) > 1:
                first, last = calls[min(calls)], calls[max(calls)]
                self.differ(first, last)
                return

    def differ(self, one, other):
        a, b = sorted((one, other), key=lambda rank: rank.number)
        self.stop(
            None,
            f"the ranks are at different calls: {self.position(a)}, and {self.position(b)}; all "
            "must make the same calls, in the same order",
        )

    @staticmethod
    def position(rank):
        return f"rank {rank.number} waits in call {rank.at['call']}, {rank.at['what']}"

    def stop(self, number, text):
        """Tell all ranks, and whoever reads the errors of the job, once."""
        if self.stopped:
            return
        self.stopped = {"stop": text, "rank": number}
        with suppress(OSError):  # the launcher has gone
            os.write(2, f"tinygrad_opt.distributed: {text}\n".encode())
        for rank in tuple(self.ranks.values()):
            rank.tell(**self.stopped)


def main():
    """`python witness.py ADDRESS SIZE`, with the token on the standard input; prints the port."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    token = sys.stdin.readline().strip()
    family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((sys.argv[1], 0))
    size = int(sys.argv[2])
    listener.listen(min(size, 4096))
    print(listener.getsockname()[1], flush=True)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    Witness(listener, size, token).run()


if __name__ == "__main__":
    main()
