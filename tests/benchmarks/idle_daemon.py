"""
What a daemon costs that has nothing to do but listen: CPU of one core while its hosts are well.

``python tests/benchmarks/idle_daemon.py [--hosts N] [--seconds S] [--limit PERCENT]`` prints one
JSON object and exits 1 over the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kit.site import Site
from tests.kit.waiting import eventually

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


def cpu_s(pid: int) -> float:
    """CPU time that a process has used, its own and the kernel's for it."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / _TICKS


def resident_mib(pid: int) -> float:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / _KIB**2


def measure(hosts: int, seconds: float) -> dict[str, float]:
    """Start a daemon with so many TCP hosts, wait until all are up, and look for *seconds*."""
    with tempfile.TemporaryDirectory(prefix="pmwatchd-idle-") as directory:
        site = Site(Path(directory))
        try:
            return _measure(site, hosts, seconds)
        finally:
            site.close()


def _measure(site: Site, hosts: int, seconds: float) -> dict[str, float]:
    site.crowd(hosts)
    daemon = site.configure({"heartbeat": {"interval": "5s", "timeout": "2s"}})
    began = time.monotonic()
    daemon.start()
    ready_s = time.monotonic() - began
    eventually(
        lambda: f'pmwatchd_hosts{{status="up"}} {hosts}' in daemon.get("/metrics")[1],
        within_s=60,
        what="every host is up",
    )
    if daemon.process is None:
        raise RuntimeError("the daemon has ended")
    pid = daemon.process.pid
    began, used_s = time.monotonic(), cpu_s(pid)
    threading.Event().wait(seconds)
    took_s = time.monotonic() - began
    return {
        "hosts": hosts,
        "seconds": round(took_s, 1),
        "cpu_percent": round(100 * (cpu_s(pid) - used_s) / took_s, 2),
        "resident_mib": round(resident_mib(pid), 1),
        "ready_s": round(ready_s, 2),
    }


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--limit", type=float, default=10.0, help="percent of one core")
    options = parser.parse_args()
    measured = measure(options.hosts, options.seconds)
    print(json.dumps(measured))  # noqa: T201 - its one output
    return int(measured["cpu_percent"] > options.limit)


if __name__ == "__main__":
    sys.exit(main())
