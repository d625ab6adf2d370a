"""Ranks that do not do as the others: `mpiexec -n 3 python failing.py HOW`."""

import datetime
import os
import signal
import sys
import time

import tinygrad_opt as tg
import tinygrad_opt.distributed as dist


def main(how):
    """Rank 1 fails in the way that is named, while the others call all_reduce."""
    dist.init_process_group("mpi", timeout=datetime.timedelta(seconds=3 if how == "slow" else 60))
    x = tg.ones(5000)
    dist.all_reduce(x)
    if dist.get_rank() == 1:
        time.sleep(0.2)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "raises":
            raise KeyError("no such thing")
        elif how == "ends":
            sys.exit()
        elif how == "another call":
            dist.barrier()
        elif how == "another size":
            x = tg.ones(7)
        elif how == "slow":
            time.sleep(6)
    dist.all_reduce(x)
    print(f"rank {dist.get_rank()} has gone on", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
