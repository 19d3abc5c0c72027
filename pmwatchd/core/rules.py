"""What the core takes from the configuration besides the hosts: the rules, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from pmwatchd.core.model import FenceAction, Limits, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Fencing:
    """The rules of switching power; the defaults are those of the configuration."""

    off_status_delay_s: float = 10.0
    off_status_retries: int = 18
    on_status_delay_s: float = 10.0
    on_status_retries: int = 18
    off_attempts: int = 1
    on_attempts: int = 2
    agent_timeout_s: float = 30.0
    status_timeout_s: float = 10.0
    kill_after_s: float = 5.0
    confirm_gap_s: float = 0.5
    quiet_time_s: float = 180.0
    on_if_found_off: bool = True
    retry_min_s: float = 60.0
    retry_max_s: float = 1800.0
    candidates_per_source: int = 3

    def limits(self, action: FenceAction) -> Limits:
        """How long an execution may take."""
        status = action is FenceAction.STATUS
        limit_s = self.status_timeout_s if status else self.agent_timeout_s
        return Limits(limit_s, self.kill_after_s)

    def over_s(self, action: FenceAction) -> float:
        """When an execution is certainly over, counted from the confirmation of its start."""
        return self.limits(action).over_s

    def budget_s(self, action: FenceAction) -> float:
        """How long a status is awaited after a command: delay x retries."""
        if action is FenceAction.OFF:
            return self.off_status_delay_s * self.off_status_retries
        return self.on_status_delay_s * self.on_status_retries

    def delay_max_s(self, action: FenceAction) -> float:
        """The longest pause between two readings."""
        return self.off_status_delay_s if action is FenceAction.OFF else self.on_status_delay_s

    def attempts(self, action: FenceAction) -> int:
        """How often a command is tried at one group."""
        return self.off_attempts if action is FenceAction.OFF else self.on_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Over so many percent, and more than so many hosts, fell silent within so many seconds."""

    percent: float = 10.0
    hosts: int = 3
    within_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRule:
    """One way to part the fleet: ``fleet``, ``cluster`` or ``label:KEY``, and its threshold."""

    by: str
    threshold_percent: float = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRules:
    """
    When silence looks like a network fault.

    Attributes:
        min_hosts: Smaller domains are never in a storm.
        cooldown_s: A storm lasts so long after the share fell back.
    """

    domains: tuple[DomainRule, ...] = (DomainRule(by="fleet"), DomainRule(by="cluster"))
    min_hosts: int = 3
    cooldown_s: float = 60.0
    burst: Burst = field(default_factory=Burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Least pause between two power-ons of one domain; ``by`` is ``label:KEY``, as in storms."""

    by: str = "label:pdu"
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """
    What keeps the daemon from fencing.

    Attributes:
        automatic: The main file's word for all hosts; each host has its own, which counts.
        loop_limit: Operations with proven off until a host is parked.
        loop_window_s: Unbroken *up* for so long ends the count.
        inspect_every_s: While a host answers its agents are read once in so long; 0: never.
        witnesses: How many proxies are asked whether they reach the suspect.
        canaries: Addresses that answer unless our own place in the network is ill.
    """

    automatic: bool = True
    startup_hold_s: float = 300.0
    max_concurrent: int = 10
    per_hour: int = 60
    loop_limit: int = 3
    loop_window_s: float = 3600.0
    inspect_every_s: float = 6 * 3600.0
    witnesses: int = 2
    canaries: tuple[Probe, ...] = ()
    poweron_spacing: Spacing = field(default_factory=Spacing)
    storm: StormRules = field(default_factory=StormRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class KdumpRules:
    """
    How a crash dump is waited for.

    Attributes:
        start_window_s: So long after ``non_responsive`` the first datagram may still come.
        quiet_after_s: A dump is over when no datagram came for so long.
        ceiling_s: No dump is waited for longer than this, counted from its first datagram.
    """

    enabled: bool = False
    start_window_s: float = 30.0
    quiet_after_s: float = 30.0
    ceiling_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that is not about one host."""

    fencing: Fencing = field(default_factory=Fencing)
    safety: Safety = field(default_factory=Safety)
    kdump: KdumpRules = field(default_factory=KdumpRules)
    ssh_user: str = "pmwatchd"
    ssh_port: int = 22
