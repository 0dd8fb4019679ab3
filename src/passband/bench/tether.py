"""What ties a process of a benchmark to the one that started it: ``python -m passband.bench.tether PIPE MODULE ...``.

It runs a module as ``python -m MODULE ...`` does, and ends at once when the pipe does: its other end is held open by
the process that started this one, until that one dies, however it dies. Without it a benchmark that was killed would
leave its nodes running, with their ports and half a core.

A pipe and a thread rather than Linux's parent death signal: it works wherever there are pipes.
"""

import os
import runpy
import sys
import threading

CUT = 1  # the exit status


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: it returns when the other end is gone
    os._exit(CUT)


def main() -> None:
    pipe, module = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(pipe, False)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True, name="tether").start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
