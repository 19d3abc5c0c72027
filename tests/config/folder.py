"""A configuration in a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pmwatchd import config
from pmwatchd.core.model import FenceAgent, Host
from pmwatchd.errors import Fault


@dataclass(frozen=True, slots=True)
class Folder:
    """``pmwatchd.toml`` with ``conf.d``, ``hosts.d`` and a place for fence agents."""

    path: Path

    @property
    def main_file(self) -> Path:
        return self.path / "pmwatchd.toml"

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def main(self, text: str) -> None:
        """Write the main file; agents are looked for in this folder only."""
        self.write("pmwatchd.toml", text)

    def inventory(self, text: str, name: str = "site.toml") -> None:
        self.write(f"hosts.d/{name}", text)

    def agent(self, agent_type: str, *parameters: str, required: tuple[str, ...] = ()) -> Path:
        """Install a fence agent that tells nothing but its metadata."""
        lines = "".join(
            f'<parameter name="{name}" required="{int(name in required)}" />'
            for name in (*parameters, *required)
        )
        text = f"<resource-agent><parameters>{lines}</parameters></resource-agent>"
        return self.script(agent_type, f"echo '{text}'")

    def script(self, agent_type: str, shell: str) -> Path:
        program = self.write(f"agents/fence_{agent_type}", f"#!/bin/sh\n{shell}\n")
        program.chmod(0o755)
        return program

    def load(self) -> config.Configuration:
        return config.load(self.main_file)

    def check(self, *, secrets: bool = True) -> config.Report:
        return config.check(self.main_file, secrets=secrets)

    def host(self, name: str = "node1") -> Host:
        """Load one host of an inventory without faults."""
        configuration = self.load()
        assert configuration.faults == ()
        return configuration.hosts[name]

    def fence_agent(self, host: str = "node1") -> FenceAgent:
        """Load the only agent of a host."""
        [found] = self.host(host).power_management.agents
        return found

    def fault(self) -> Fault:
        """Load an inventory that has exactly one fault."""
        configuration = self.load()
        [found] = configuration.faults
        return found
