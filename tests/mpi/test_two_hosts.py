"""Two machines, as far as networks go: namespaces with a cable between them."""

import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("mpi4py", reason="needs mpi4py, which make test-mpi installs")

import launching

ADDRESSES = {"A": "10.231.0.1", "B": "10.231.0.2"}
NAME = f"tinygrad{os.getpid()}"


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    """The command that starts a program of two processes, one on each machine."""
    command = launching.mpiexec()
    if command is None or len(command) > 1:
        pytest.skip("needs MPICH's mpiexec")
    if shutil.which("ip") is None:
        pytest.skip("needs `ip` of iproute2")
    try:
        for host in ADDRESSES:
            ip("netns", "add", NAME + host)
        ends = "link", "add", "eA", "netns", f"{NAME}A", "type", "veth", "peer", "name", "eB"
        ip(*ends, "netns", f"{NAME}B")
        for host, address in ADDRESSES.items():
            ip("-n", NAME + host, "addr", "add", f"{address}/24", "dev", f"e{host}")
            for device in ("lo", f"e{host}"):
                ip("-n", NAME + host, "link", "set", device, "up")
        script = tmp_path_factory.mktemp("hosts") / "start"  # in the place of ssh
        script.write_text(
            '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nhost=$1; shift\n'
            f"case $host in {ADDRESSES['A']}) n=A;; *) n=B;; esac\n"
            f'exec ip netns exec {NAME}$n sh -c "$*"\n'
        )
        script.chmod(0o755)
        yield [
            "ip", "netns", "exec", f"{NAME}A", *command, "-launcher", "ssh", "-launcher-exec",
            str(script), "-hosts", ",".join(ADDRESSES.values()), "-n", "2", sys.executable, "-u",
        ]  # fmt: skip
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
    finally:
        for host in ADDRESSES:
            subprocess.run(["ip", "netns", "delete", NAME + host], capture_output=True, check=False)


def run(launcher, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(launching.HERE.parents[1])}
    done = subprocess.run(
        [*launcher, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=launching.LIMIT, env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_training_over_a_network(launcher):
    name = "check_training_is_that_of_one_process_on_the_whole_batch"
    status, output = run(launcher, launching.HERE / "checks.py", name, "check_collectives")
    assert status == 0, output
    assert f'{{"{name}": []}}' in output
    assert '{"check_collectives": []}' in output


# What mpiexec says where it fails itself, over a race of its own, and passes nothing on any more.
LAUNCHER_FAILED = "process manager error waiting for completion"


def test_a_death_on_the_other_machine_is_told(launcher):
    for _ in range(3):
        status, output = run(launcher, launching.HERE / "failing.py", "killed")
        assert status != 0
        if LAUNCHER_FAILED not in output:
            break
    assert "died: its process was killed" in output
    assert "rank 1 (" in output
