"""Runs one command and says what it cost."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass


class CommandFailed(Exception):
    """A measured command failed: nothing measured after it would mean anything."""


@dataclass
class Cost:
    """What a command and its children took. CPU is user and system time together.

    The peak is never told below this script's own, some 30 MiB: Linux counts from before `exec`."""

    wall: float
    cpu: float
    peak_rss_mib: float
    load: float

    @staticmethod
    def sum(costs):
        """The cost of one run after the other."""
        costs = list(costs)
        total = [sum(getattr(cost, field) for cost in costs) for field in ("wall", "cpu")]
        return Cost(*total, max(c.peak_rss_mib for c in costs), max(c.load for c in costs))

    def as_dict(self):
        return asdict(self)


# A virtual machine's host takes free memory away, and gives it back page by page to whoever touches
# it first: several times the cost of a copy. A process of its own, so that this one stays small.
WARM_BYTES = 3 << 30
WARM = f"""
import mmap, os
pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
mmap.mmap(-1, min({WARM_BYTES}, pages // 2), flags)
"""


def run(command, env=None):
    """Runs `command` to its end; returns its cost and its standard output.

    Dirty pages of whatever ran before are written out first, and free memory is touched, so that
    nobody pays for them.
    """
    os.sync()
    subprocess.run([sys.executable, "-c", WARM], check=True)
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env
        )
        # Not child.wait(): only wait4 gives the usage of this child alone.
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            raise CommandFailed(failure(command, child.returncode, err.read()))
        text = out.read().decode("utf-8", "replace")
    # Linux counts ru_maxrss in KiB.
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall, cpu, usage.ru_maxrss / 1024, load), text


def failure(command, code, errors):
    """The message for a command that failed, with the end of what it said."""
    said = errors.decode("utf-8", "replace").replace("\r", "\n").strip()
    return f"exit code {code}: {shlex.join(map(str, command))}\n{said[-4000:]}"


def say(text):
    """Progress, on standard error: standard output is for the table."""
    print(text, file=sys.stderr, flush=True)
