"""Update rules are read when somebody first asks: several threads may be the first."""

import sys
import threading

from tinygrad_opt import kernels
from tinygrad_opt.kernels.rule import UpdateRule


def test_threads_that_ask_first_together_all_find_it():
    faults = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(40):
            rule, start = UpdateRule(kernels.adam._source), threading.Barrier(4)

            def ask(rule=rule, start=start):
                start.wait()
                try:
                    assert rule.states == ("m", "v")
                except BaseException as fault:
                    faults.append(fault)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not faults
