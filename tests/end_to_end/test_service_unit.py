"""The unit as it is delivered: verified, hardened, and started by a real systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
UNIT = CHECKOUT / "systemd" / "pmwatchd.service"
EXPOSURE_MAX = 2.5
DEADLINE_S = 30.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (apt systemd)"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], check=False, capture_output=True, text=True
    )


@needs_systemd
def test_the_unit_is_verified_in_silence_where_pmwatchd_is_not_installed() -> None:
    verified = analyze("verify", str(UNIT))

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs_systemd
def test_the_unit_is_exposed_as_little_as_promised() -> None:
    judged = analyze("security", "--offline=true", str(UNIT))

    exposure = re.search(r"Overall exposure level for pmwatchd.service: ([0-9.]+)", judged.stdout)
    assert exposure is not None, judged.stdout + judged.stderr
    assert float(exposure.group(1)) <= EXPOSURE_MAX


# What the daemon needs of the system, done inside the unit's hardening.
PROBE = """
import ctypes, grp, json, os, pathlib, shutil, signal, socket, subprocess, sys, time
import asyncio, asyncssh
sys.path.insert(0, "/mnt/checkout")
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.io.systemd import Notifier, listens_to_journal

class Meter:
    def commit(self, took_s): pass

def refused(act):
    try:
        act()
    except OSError:
        return True
    return False

async def ssh():
    key = asyncssh.generate_private_key("ssh-ed25519")
    class Open(asyncssh.SSHServer):
        def begin_auth(self, username): return False
    async with asyncssh.listen("127.0.0.1", 0, server_factory=Open, server_host_keys=[key]) as it:
        known = ([key.convert_to_public()], [], [])
        async with asyncssh.connect(
            "127.0.0.1", it.get_port(), known_hosts=known, config=None, agent_path=None
        ):
            return True

async def journal():
    opened, remembered = await SqliteJournal.open(
        pathlib.Path(os.environ["STATE_DIRECTORY"]), meter=Meter()
    )
    await opened.close()
    return remembered.epoch

def agent():
    if not os.path.exists("/usr/sbin/fence_ipmilan"):
        return "not installed"
    done = subprocess.run(
        ["timeout", "-k", "5", "30", "/usr/sbin/fence_ipmilan", "-o", "metadata"],
        capture_output=True,
    )
    return "<resource-agent" in done.stdout.decode() or done.stderr.decode()

def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True

def api_socket():
    path = os.environ["RUNTIME_DIRECTORY"] + "/api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    os.chown(path, -1, grp.getgrnam("pmwatchd-admin").gr_gid)
    os.chmod(path, 0o660)
    return oct(os.stat(path).st_mode & 0o777)

def credential():
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = os.path.join(directory, "pmwatchd_bmc")
    return open(path).read() if os.path.exists(path) else None

def resolver():
    return bool(socket.getaddrinfo("localhost", 22))

def callback():
    return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)()

notifier = Notifier.from_environment()
if sys.argv[1:] == ["silent"] and asyncio.run(journal()) == 1:
    notifier.ready("silent")
    time.sleep(60)
found = {
    "uid_is_root": os.getuid() == 0,
    "epoch": asyncio.run(journal()),
    "ssh": asyncio.run(ssh()),
    "agent": agent(),
    "raw_socket": raw_socket(),
    "api_socket": api_socket(),
    "credential": credential(),
    "resolver": resolver(),
    "callback": callback(),
    "etc_is_read_only": refused(lambda: open("/etc/probe", "w")),
    "no_packet_socket": refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "cannot_become_root": refused(lambda: os.setuid(0)),
    "watchdog_interval_s": notifier.watchdog_interval_s,
    "listens_to_journal": listens_to_journal(),
}
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
notifier.ready(json.dumps(found))
while not ended:
    notifier.watchdog()
    time.sleep(0.1)
notifier.stopping()
"""

# Nothing that is written may reach the machine: tmpfs over everything that a
# boot writes to, /etc a copy, kernel settings read-only, and of this machine's
# own services none (no network set-up).  Credentials need the shared propagation.
BOOT = """
set -e
mount --make-rprivate /
mount --make-rshared /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /mnt
mkdir /mnt/python /mnt/packages /mnt/checkout /mnt/etc
mount --bind "$3" /mnt/python
mount --bind "$4" /mnt/packages
mount --bind "$2" /mnt/checkout
cp -a /etc/. /mnt/etc
printf '[Journal]\\nReadKMsg=no\\n' > /mnt/etc/systemd/journald.conf
rm -rf /mnt/etc/systemd/system
mkdir /mnt/etc/systemd/system
ln -s /dev/null /mnt/etc/systemd/system/network-online.target
cp "$1/probe.py" /mnt/probe.py
cp -r "$1/units" /mnt/units
mount --bind /mnt/etc /etc
for directory in /run /tmp /var; do mount -t tmpfs -o mode=755 tmpfs $directory; done
chmod 1777 /tmp
mkdir -p -m 1777 /var/tmp
mkdir -p /run/systemd/system /var/lib /var/log /var/cache
cp -r /mnt/units/. /run/systemd/system
systemd-sysusers /mnt/checkout/systemd/sysusers.d/pmwatchd.conf
export container=private-namespace
exec /lib/systemd/systemd --system --unit=quiet.target --show-status=no
"""

# Without the default dependencies: they would set up a whole machine.
DROP_IN = """
[Unit]
DefaultDependencies=no
[Service]
ExecStart=
ExecStart=/mnt/python/bin/python3 /mnt/probe.py {arguments}
ExecReload=
Environment=PYTHONPATH=/mnt/packages LD_LIBRARY_PATH=/mnt/python/lib
{more}
"""


class Machine:
    """A booted systemd in namespaces of its own."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *argv: str) -> str:
        entered = ["nsenter", "-t", str(self._pid), "-a", *argv]
        done = subprocess.run(entered, check=False, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def shows(self, unit: str, key: str) -> str:
        return self.run("systemctl", "show", unit, "-P", key).strip()


def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends_at, what()
        time.sleep(0.1)


def _write_units(units: Path) -> None:
    units.mkdir()
    (units / "quiet.target").write_text(
        "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n"
    )
    silent = DROP_IN.format(
        arguments="silent", more="WatchdogSec=2s\nStateDirectory=\nStateDirectory=silent\n"
    )
    credentials = "LoadCredential=\nLoadCredential=pmwatchd:/run/credentials-of-root"
    for name, drop_in in {
        "pmwatchd": DROP_IN.format(arguments="", more=""),
        "secretive": DROP_IN.format(
            arguments="", more=f"{credentials}\nStateDirectory=\nStateDirectory=secretive"
        ),
        "silent": silent,
    }.items():
        shutil.copy(UNIT, units / f"{name}.service")
        (units / f"{name}.service.d").mkdir()
        (units / f"{name}.service.d" / "probe.conf").write_text(drop_in)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to boot a systemd in a namespace")
    if not Path("/lib/systemd/systemd").exists() or shutil.which("nsenter") is None:
        pytest.skip("needs systemd and nsenter (apt systemd util-linux)")
    (tmp_path / "probe.py").write_text(PROBE)
    _write_units(tmp_path / "units")
    spaces = ["--pid", "--mount", "--uts", "--ipc", "--cgroup"]
    where = [tmp_path, CHECKOUT, Path(sys.base_prefix), Path(asyncssh.__file__).parents[1]]
    log = (tmp_path / "boot.log").open("w+")
    booted = subprocess.Popen(
        ["unshare", "--fork", "--kill-child", *spaces, "sh", "-c", BOOT, "boot", *where],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield _boots(booted, tmp_path / "boot.log")
    finally:
        booted.send_signal(signal.SIGKILL)
        booted.wait()
        log.close()


def _boots(booted: subprocess.Popen[bytes], log: Path) -> Machine:
    children = Path(f"/proc/{booted.pid}/task/{booted.pid}/children")
    ends_at = time.monotonic() + DEADLINE_S
    while booted.poll() is None and time.monotonic() < ends_at:
        for pid in children.read_text().split():
            # Not before it is systemd: until then /run may be that of this machine.
            if Path(f"/proc/{pid}/comm").read_text().strip() != "systemd":
                continue
            machine = Machine(int(pid))
            if machine.run("systemctl", "is-system-running").strip() in ("running", "degraded"):
                return machine
        time.sleep(0.1)
    pytest.skip(f"no systemd boots in a namespace here: {log.read_text()[-300:]}")


EVERYTHING_WORKS = {
    "uid_is_root": False,
    "epoch": 1,
    "ssh": True,
    "raw_socket": True,
    "api_socket": "0o660",
    "credential": None,
    "resolver": True,
    "callback": 7,
    "etc_is_read_only": True,
    "no_packet_socket": True,
    "cannot_become_root": True,
    "watchdog_interval_s": 30.0,
    "listens_to_journal": True,
}


def test_under_a_real_systemd_the_unit_gives_what_the_daemon_needs_and_no_more(
    machine: Machine,
) -> None:
    # No /etc/pmwatchd/credentials exists here: that must not keep it from starting.
    said = machine.run("systemctl", "start", "pmwatchd.service")
    assert machine.shows("pmwatchd", "ActiveState") == "active", said + machine.run(
        "systemctl", "status", "--no-pager", "-n", "50", "pmwatchd"
    )
    found = json.loads(machine.shows("pmwatchd", "StatusText"))
    assert found.pop("agent") in (True, "not installed")
    assert found == EVERYTHING_WORKS
    modes = machine.run("stat", "-c", "%a %U", "/var/lib/pmwatchd", "/run/pmwatchd").splitlines()
    assert modes == ["700 _pmwatchd", "755 _pmwatchd"]

    machine.run("systemctl", "stop", "pmwatchd.service")
    assert machine.shows("pmwatchd", "Result") == "success"

    machine.run("sh", "-c", "umask 077; mkdir /run/credentials-of-root")
    machine.run("sh", "-c", "umask 077; printf secret > /run/credentials-of-root/bmc")
    machine.run("systemctl", "start", "secretive.service")
    assert json.loads(machine.shows("secretive", "StatusText"))["credential"] == "secret"

    machine.run("systemctl", "start", "silent.service")
    until(
        lambda: (
            machine.shows("silent", "NRestarts") == "1"
            and machine.shows("silent", "ActiveState") == "active"
        ),
        lambda: machine.run("systemctl", "status", "--no-pager", "silent.service"),
    )
    assert json.loads(machine.shows("silent", "StatusText"))["watchdog_interval_s"] == 2.0
