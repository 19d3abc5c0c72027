"""
Everything that is expected to go wrong, as one tree.

::

    PmwatchdError
    +-- ConfigError            configuration or inventory is faulty; carries every fault
    +-- CapabilityError        the system does not permit it (CAP_NET_RAW, a socket's group ...)
    +-- JournalError
    |   +-- JournalLockedError     another daemon has it open
    |   +-- JournalCorruptError    SQLite cannot read it
    |   +-- JournalUnwritableError a commit failed: disk full, read-only ...
    +-- ProxyError             a proxy could not run the agent; carries how (ProxyResult)
    +-- WithdrawnError         a command is not permitted any more; nothing reached the device
    +-- ClientError            the command line could not do what was asked; carries the exit code

A wrong password of a BMC or a silent host is no error: it is a fact, and the
core decides what follows.  A bug is no error either: it ends the process.
"""

from __future__ import annotations

from dataclasses import dataclass

from pmwatchd.core.model import ProxyResult


class PmwatchdError(Exception):
    """Base of every error that pmwatchd raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """
    One thing wrong in the configuration or the inventory.

    Attributes:
        file: The file, or ``environment``.
        key: Path of the key, e.g. ``hosts.node8.power_management.agents.bmc.order``.
        reason: What is wrong; never a secret's value.
        remedy: What to do about it.
        host: The host that it costs, when it costs only one.
        secret: It is a secret that cannot be read.
    """

    file: str
    key: str
    reason: str
    remedy: str
    host: str | None = None
    secret: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}. {self.remedy}"


class ConfigError(PmwatchdError):
    """
    The configuration or the inventory is faulty.

    Attributes:
        faults: Every fault that was found, not only the first.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class CapabilityError(PmwatchdError):
    """The system does not permit something; the sentence says what to do."""


class JournalError(PmwatchdError):
    """Base of what the journal raises."""


class JournalLockedError(JournalError):
    """Another daemon has the journal open."""


class JournalCorruptError(JournalError):
    """The journal cannot be read."""


class JournalUnwritableError(JournalError):
    """A commit failed; nothing of it is durable."""


class ProxyError(PmwatchdError):
    """
    A proxy could not run the agent; nothing reached the device.

    Attributes:
        result: Which way it failed; a closed list, fit for a metric label.
        reason: One sentence for people.
    """

    def __init__(self, result: ProxyResult, reason: str) -> None:
        self.result = result
        self.reason = reason
        super().__init__(reason)


class WithdrawnError(PmwatchdError):
    """What permitted a command does not hold any more; nothing reached the device."""


class ClientError(PmwatchdError):
    """
    A command of the client cannot be carried out.

    Attributes:
        exit_code: One of the fixed exit codes of the command line.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)
