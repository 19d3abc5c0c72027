"""A proxy: a real OpenSSH server on loopback, with keys made for one test."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kit.parts import program
from tests.kit.ports import free_port
from tests.kit.waiting import eventually

_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile {directory}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
"""


def make_key(path: Path) -> None:
    """Make an Ed25519 key without a passphrase at *path*, its public half beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True
    )


@dataclass(slots=True)
class Proxy:
    """
    One sshd; whoever runs the tests logs in as himself.

    Attributes:
        name: Its name in the inventory.
        address: One of 127.0.0.0/8, where it listens.
        public_key: Who may log in.
    """

    name: str
    address: str
    directory: Path
    public_key: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its keys, start sshd and return when it shows its banner."""
        self.directory.mkdir(parents=True)
        if os.geteuid() == 0:  # sshd separates privileges in there, and the package's unit makes it
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        make_key(self.directory / "host_key")
        authorized = self.directory / "authorized_keys"
        authorized.write_text(self.public_key.read_text())
        authorized.chmod(0o644)
        self.restart()

    def restart(self, options: str = "") -> None:
        """Start sshd with the same keys, and these lines more in its configuration."""
        self.port = self.port or free_port(self.address)
        config = self.directory / "sshd_config"
        config.write_text(
            _CONFIG.format(port=self.port, address=self.address, directory=self.directory) + options
        )
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [program("sshd") or "sshd", "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        eventually(self._shows_banner, within_s=10, what=f"sshd of {self.name} shows its banner")

    def stop(self) -> None:
        """End sshd; sessions that are open are left to end by themselves."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        """What sshd said."""
        return (self.directory / "output").read_text(errors="replace")

    def known_hosts(self) -> str:
        """Return the line by which a client knows this proxy."""
        kind, key = (self.directory / "host_key.pub").read_text().split()[:2]
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    def inventory(self, **more: object) -> dict[str, object]:
        """Return this proxy as a host of the inventory, known by its banner and never fenced."""
        host: dict[str, object] = {
            "name": self.name,
            "address": self.address,
            "probes": [{"type": "ssh", "port": self.port}],
            "as_proxy": {"port": self.port, "user": getpass.getuser()},
            "power_management": {"enabled": False},
        }
        return host | more

    def _shows_banner(self) -> bool:
        if self.process is not None and (code := self.process.poll()) is not None:
            raise RuntimeError(f"sshd ended with {code}: {self.log()[-500:]}")
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False
