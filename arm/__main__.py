"""The ARM lane: `make arm`, or some of its parts: `make arm PART="replay daemon"`.

Each job runs as a process of its own, as many at a time as there are processors, and begins when what it needs is
there. Exit status 1 where a claim does not hold or the machine is not what the lane needs: nothing is skipped.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from arm.cache import alone
from arm.errors import Failed
from arm.host import prepare
from arm.jobs import JOBS, PARTS, run_alone
from arm.lane import Lane, table
from arm.shell import BEGAN, say


def main(words: list[str]) -> int:
    """`words`: names of parts, all of them if empty; or `--job NAME`, as the lane calls itself."""
    if words[:1] == ["--job"]:
        return run_alone(words[1])
    unknown = [word for word in words if word not in PARTS]
    if unknown:
        sys.stderr.write(f"unknown part {', '.join(unknown)}; known: {', '.join(PARTS)}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it started ends with it
    os.environ[BEGAN] = str(time.monotonic())
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        say("tools", prepare())
        with alone():
            done = Lane(JOBS).run(words or list(PARTS))
    except Failed as error:
        say("lane", f"FAILED: {error}")
        return 1
    sys.stdout.write(f"\n{table(done)}\n")
    return 0 if all(one.status == "ok" for one in done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
