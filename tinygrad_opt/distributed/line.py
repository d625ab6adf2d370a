"""The line to the witness of a job: how a rank learns that another has died, and tells of itself.

`witness.py` says what the witness is. A rank asks the line only while it waits for others, so that
it costs nothing while all is well. A rank that ends by an exception tells so; one that ends its
program waits for the others, unless something failed: then it leaves without MPI's farewell, which
would wait for the dead.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from .errors import DistBackendError, DistNetworkError
from .witness import keep_looking

__all__ = ["Line", "invite"]

LINGER = 3.0  # seconds that a failed rank stays, so that the others can say why they stop


def invite(size: int, near: bool) -> dict[str, Any]:
    """Start the witness; what ranks need to connect to it: addresses, port, token.

    near: whether all ranks are on this machine; then the witness cannot be reached from others.
    """
    token = secrets.token_hex(16)
    script = str(Path(__file__).with_name("witness.py"))
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", script, "127.0.0.1" if near else "0.0.0.0", str(size)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    to, of = cast(Any, process.stdin), cast(Any, process.stdout)
    to.write(token + "\n")
    to.close()
    port = of.readline().strip()
    of.close()
    if not port:
        raise DistNetworkError(f"init_process_group: {script} did not start; see its error above")
    process.returncode = 0  # it outlives this process: nobody waits for it
    return {"addresses": ["127.0.0.1"] if near else _addresses(), "port": int(port), "token": token}


def _addresses() -> list[str]:
    """How other machines may reach this one, likeliest first."""
    found = []
    with suppress(OSError):  # the name of this machine is nobody's business
        found += [entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None)]
    for target in ("10.255.255.255", "192.0.2.1"):  # nothing is sent: which way would it go?
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.connect((target, 9))
            found.append(probe.getsockname()[0])
    found += _of_interfaces()
    usable = [str(a) for a in found if ":" not in str(a) and not str(a).startswith("127.")]
    return [*dict.fromkeys(usable), "127.0.0.1"]


def _of_interfaces() -> list[str]:
    """The IPv4 addresses of this machine's interfaces, where the system says them so (Linux)."""
    found = []
    with suppress(ImportError, OSError):
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                with suppress(OSError):  # it has none
                    request = name.encode()[:15].ljust(256, b"\0")
                    answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
                    found.append(socket.inet_ntoa(answer[20:24]))
    return found


class Line:
    """This rank's connection to the witness.

    failure  why the job has to stop, once that is known; None while all is well
    """

    def __init__(self, rank: int, invitation: dict[str, Any]) -> None:
        self.rank = rank
        self.failure: str | None = None
        self._left = False
        self._text = b""
        self._told = False  # that this rank waits
        self._all_left = False
        self._socket: socket.socket | None = _connect(invitation)
        place = f"{socket.gethostname()}, process {os.getpid()}"
        self._say(token=invitation["token"], rank=rank, place=place)
        self._hook, sys.excepthook = sys.excepthook, self._excepthook
        atexit.register(self.leave)
        os.register_at_fork(after_in_child=self._forked)
        _outlive_a_launcher_s_hint()

    # While this rank waits ------------------------------------------------------------------------

    def check(self) -> None:
        """Raises DistBackendError if the job has to stop."""
        if self.failure is None:
            self.listen(0.0)
        if self.failure is not None:
            raise DistBackendError(self.failure)

    def waiting(self, at: dict[str, Any]) -> None:
        """Tells at which call this rank waits."""
        self._told = True
        self._say(at=at)

    def going_on(self) -> None:
        """Takes back what `waiting` told."""
        if self._told:
            self._told = False
            self._say(on=True)

    def fail(self, text: str) -> None:
        """Tells the others that this rank stops, and why."""
        if not self._left:
            self._left = True
            self._say(failed=text)
        self.failure = self.failure or f"rank {self.rank} stopped: {text}"

    # The end --------------------------------------------------------------------------------------

    def _excepthook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._hook(kind, error, trace)
        if self.failure is None:
            summary = traceback.format_exception_only(kind, error)[-1].strip()
            self.fail(summary[:500])

    def leave(self) -> None:
        """Waits until all ranks have ended their programs; a failed one leaves at once."""
        if self._socket is None:
            return
        atexit.unregister(self.leave)
        if self.failure is None and not self._left:
            self._left = True
            self._say(left=True)
            while self.failure is None and not self._all_left:
                self.listen(1.0)
        if self.failure is not None:
            self._leave_at_once()
        self.close()

    def _leave_at_once(self) -> None:
        """The process ends here: MPI's own end would wait for the rank that is gone."""
        limit = time.monotonic() + LINGER
        while self._left and not self._told and self._socket and time.monotonic() < limit:
            self.listen(0.1)  # the witness closes the line when the others are gone
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads any more
                stream.flush()
        os._exit(1)

    def close(self) -> None:
        """Ends the connection; the witness has been told."""
        atexit.unregister(self.leave)
        if self._socket is not None:
            if not self._left:
                self._left = True
                self._say(left=True)
            self._socket.close()
            self._socket = None
        if sys.excepthook == self._excepthook:
            sys.excepthook = self._hook

    def _forked(self) -> None:
        """A forked child is not a rank: its copy of the connection must not outlive the rank's."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._left = True
        atexit.unregister(self.leave)

    # Messages -------------------------------------------------------------------------------------

    def _say(self, **message: Any) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._lost()

    def listen(self, seconds: float) -> None:
        """Waits that long for the witness, and notes what it says."""
        if self._socket is None:
            return
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return
            data = self._socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "stop" in message and message["rank"] != self.rank:
                self.failure = self.failure or message["stop"]
            self._all_left = self._all_left or "all_left" in message

    def _lost(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if not self._all_left:
            self.failure = self.failure or (
                "the connection to the witness of the job has ended: its machine, that of rank 0, "
                "is gone, or the process was killed"
            )


def _connect(invitation: dict[str, Any]) -> socket.socket:
    faults = []
    for address in invitation["addresses"]:
        try:
            connection = socket.create_connection((address, invitation["port"]), timeout=10.0)
        except OSError as error:
            faults.append(f"{address}: {error}")
            continue
        connection.settimeout(None)
        keep_looking(connection)
        return connection
    raise DistNetworkError(
        "init_process_group: this rank cannot reach the witness that rank 0 has started, at port "
        f"{invitation['port']} of {'; '.join(faults)}. Ranks need a TCP connection to rank 0"
    )


def _outlive_a_launcher_s_hint() -> None:
    """MPICH's launcher hints at a death with SIGUSR1, which kills who does not expect it."""
    hint = getattr(signal, "SIGUSR1", None)
    with suppress(ValueError):  # not in the main thread
        if hint is not None and signal.getsignal(hint) == signal.SIG_DFL:
            signal.signal(hint, signal.SIG_IGN)
