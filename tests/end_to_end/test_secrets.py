"""A password of a BMC is seen by the agent and by nobody else."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys

from tests.kit.daemon import Daemon
from tests.kit.parts import IRON, needs
from tests.kit.site import NO_STORM, Site
from tests.kit.waiting import eventually
from tests.kit.watcher import ProcWatcher

pytestmark = needs(*IRON)

ROUTES = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/hosts",
    "/api/v1/hosts/node1",
    "/api/v1/hosts/node2",
    "/api/v1/hosts/node3",
    "/api/v1/hosts/nobody",
    "/api/v1/operations",
    "/api/v1/records",
)


def everything_shown(daemon: Daemon) -> str:
    """Every answer of the API, operations one by one included."""
    operations = daemon.document("/api/v1/operations")["items"]
    assert operations
    routes = [*ROUTES, *(f"/api/v1/operations/{operation['id']}" for operation in operations)]
    return "\n".join(daemon.get(route)[1] for route in routes)


def test_a_password_occurs_in_nothing_that_can_be_read_from_outside(site: Site) -> None:
    """
    Three hosts die: one is fenced through a proxy, one by the engine, one has a wrong password.

    ``fence_ipmilan`` itself puts the password on the command line of the
    ``ipmitool`` that it starts, which blots it out a moment later.  Nobody but
    the agent can change that, so ``ipmitool`` is exempt, and it alone.
    """
    canary, wrong = secrets.token_hex(8), secrets.token_hex(8)
    bmcs = [site.bmc(f"bmc{number}", password=canary) for number in (1, 2)]
    locked = site.bmc("bmc3")
    machines = [
        site.machine(f"node{number}", bmc) for number, bmc in enumerate([*bmcs, locked], start=1)
    ]
    proxy = site.proxy()
    password = site.directory / "wrong"
    password.write_text(wrong)
    site.watch(machines[0], [bmcs[0].agent()])
    site.watch(machines[1], [bmcs[1].agent()], proxies=["engine"])
    site.watch(machines[2], [locked.agent() | {"password": {"file": str(password)}}])
    daemon = site.configure({"log": {"level": "debug"}, "safety": NO_STORM})

    with ProcWatcher(words=(canary.encode(), wrong.encode())) as watcher:
        daemon.start()
        for name in (proxy.name, *(machine.name for machine in machines)):
            daemon.wait_status(name, "up")
        for machine in machines:
            machine.kill()
        for machine, outcome in zip(machines, ("done", "done", "failed"), strict=True):
            daemon.wait_record("fence.closed", within_s=60, host=machine.name, outcome=outcome)
        shown = everything_shown(daemon)
        assert daemon.terminate() == 0

    assert locked.commands() == []
    shown += daemon.log.read_text()
    shown += proxy.log()
    journal = b"".join(
        path.read_bytes() for path in sorted(site.state_dir.rglob("*")) if path.is_file()
    )
    assert b"node1" in journal
    assert any(_is_ipmitool(command) for command in watcher.commands)
    assert any("timeout" in c and "fence_ipmilan" in c for c in watcher.commands)
    assert {command for command in watcher.leaks if not _is_ipmitool(command)} == set()
    for word in (canary, wrong):
        assert word not in shown
        assert word.encode() not in journal


def test_the_watcher_of_proc_sees_what_would_be_a_leak() -> None:
    word = secrets.token_hex(8)
    wait = [sys.executable, "-c", "input()"]

    with ProcWatcher(words=(word.encode(),)) as watcher:
        for argv, environment in ((wait, {"SECRET": word}), ([*wait, word], {})):
            with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE) as process:
                eventually(lambda: watcher.leaks, within_s=5, what="the leak is seen")
                process.communicate(b"\n")
            watcher.leaks.clear()


def test_the_commands_that_show_the_configuration_show_no_password(site: Site) -> None:
    canary = secrets.token_hex(8)
    bmc = site.bmc(password=canary)
    site.watch(site.machine("node1", bmc), [bmc.agent()], proxies=["engine"])
    config = ("--config", str(site.configure().config))

    for command in (["check", *config], ["config", *config], ["config", *config, "--host=node1"]):
        said = subprocess.run(
            [sys.executable, "-m", "pmwatchd", *command], check=True, capture_output=True
        )

        assert canary.encode() not in said.stdout + said.stderr
        assert said.stdout, json.dumps(command)


def _is_ipmitool(command: str) -> bool:
    return command.split(" ", 1)[0].rpartition("/")[2] == "ipmitool"
