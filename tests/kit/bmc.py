"""A BMC: OpenIPMI's simulator, which keeps its own record of the commands that reached it."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.parts import program
from tests.kit.ports import free_port
from tests.kit.waiting import eventually

USERNAME = "admin"

_LAN = """\
name "bmc"
set_working_mc 0x20
 startlan 1
  addr {address} {port}
  priv_limit admin
  allowed_auths_admin none md2 md5 straight
  guid {guid}
 endlan
 chassis_control "{script} {directory}"
 user 2 true "{username}" "{password}" admin 10 none md2 md5 straight
"""

_COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""


@dataclass(frozen=True, slots=True)
class Command:
    """What reached the chassis: a power command and when, in seconds since the epoch."""

    at: float
    power: str


@dataclass(slots=True)
class Bmc:
    """
    One BMC, on loopback unless it is told otherwise.

    Attributes:
        directory: Where its files are; must not contain blanks.
        address: Where it listens.
        switch_delay_s: How long after a command the power really changes.
    """

    directory: Path
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    switch_delay_s: float = 0.3
    address: str = "127.0.0.1"
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch the BMC on; its chassis is on, too.  Returns when it answers."""
        self.directory.mkdir(parents=True)
        script = Path(shutil.copy(Path(__file__).with_name("chassis.sh"), self.directory))
        script.chmod(0o755)
        (self.directory / "power").write_text("1\n")
        (self.directory / "delay").write_text(f"{self.switch_delay_s}\n")
        (self.directory / "commands").touch()
        (self.directory / "cmds.emu").write_text(_COMMANDS)
        self.port = free_port(self.address, socket.SOCK_DGRAM)
        lan = self.directory / "lan.conf"
        lan.write_text(
            _LAN.format(
                address=self.address,
                port=self.port,
                guid=secrets.token_hex(16),
                script=script,
                directory=self.directory,
                username=USERNAME,
                password=self.password,
            )
        )
        state = self.directory / "state"
        state.mkdir()
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [
                    program("ipmi_sim") or "ipmi_sim",
                    *("-c", lan, "-f", self.directory / "cmds.emu", "-s", state, "-n"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        eventually(self._answers, within_s=15, what=f"ipmi_sim answers on port {self.port}")

    def stop(self) -> None:
        """Pull the BMC's own plug; the chassis stays as it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def commands(self) -> list[Command]:
        """Every power command that reached the chassis, in order."""
        record = []
        for line in (self.directory / "commands").read_text().splitlines():
            at, _, power = line.split()
            record.append(Command(at=float(at), power={"0": "off", "1": "on"}[power]))
        return record

    def unexpected(self) -> str:
        """Commands other than on and off, e.g. a cycle: there must be none."""
        path = self.directory / "unexpected"
        return path.read_text() if path.exists() else ""

    def powered(self) -> bool:
        """Whether the chassis has power."""
        return (self.directory / "power").read_text().strip() == "1"

    def agent(self, name: str = "bmc", *, order: int = 1) -> dict[str, object]:
        """This BMC as an agent of the inventory, its password in a file of its own."""
        password = self.directory / "password"
        password.write_text(f"{self.password}\n")
        password.chmod(0o600)
        return {
            "name": name,
            "type": "ipmilan",
            "order": order,
            "address": self.address,
            "ipport": self.port,
            "username": USERNAME,
            "password": {"file": str(password)},
            "options": {"lanplus": "1", "cipher": "3"},
        }

    def options(self, action: str) -> bytes:
        """What ``fence_ipmilan`` is told on stdin."""
        told = {
            "action": action,
            "ip": self.address,
            "ipport": self.port,
            "username": USERNAME,
            "password": self.password,
            "lanplus": 1,
            "cipher": 3,
            "power_wait": 0,
        }
        return "".join(f"{key}={value}\n" for key, value in told.items()).encode()

    def _answers(self) -> bool:
        if self.process is not None and (code := self.process.poll()) is not None:
            output = (self.directory / "output").read_text(errors="replace")
            raise RuntimeError(f"ipmi_sim ended with {code}: {output[-500:]}")
        asked = subprocess.run(
            [
                *("ipmitool", "-I", "lanplus", "-H", self.address, "-p", str(self.port)),
                *("-U", USERNAME, "-P", self.password, "-C", "3", "-N", "1", "-R", "1"),
                *("chassis", "power", "status"),
            ],
            check=False,
            capture_output=True,
        )
        return asked.returncode == 0


@dataclass(slots=True)
class MuteBmc:
    """A BMC that is dead in the worst way: packets vanish, nothing is ever answered."""

    socket: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    )

    def start(self) -> None:
        """Take a port and never read from it."""
        self.socket.bind(("127.0.0.1", 0))

    def stop(self) -> None:
        """Give the port back."""
        self.socket.close()

    def agent(self, name: str, *, order: int, like: Bmc) -> dict[str, object]:
        """An agent as that of *like*, at the port where nobody answers."""
        return like.agent(name, order=order) | {"ipport": self.socket.getsockname()[1]}
