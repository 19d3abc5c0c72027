"""
The nouns of pmwatchd.

Everything here is a value: frozen, comparable, without a clock and without
I/O.  Durations are seconds (``_s``), instants are seconds of one monotonic
clock (``_at``) unless their type is :class:`~datetime.datetime`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class PowerStatus(StrEnum):
    """What a power switch was read as; an exit code alone never says it."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class FenceAction(StrEnum):
    """What an agent is asked to do.  ``reboot`` and ``cycle`` are never asked."""

    STATUS = "status"
    OFF = "off"
    ON = "on"

    @property
    def wanted(self) -> PowerStatus:
        """The status that proves this action."""
        return {FenceAction.OFF: PowerStatus.OFF, FenceAction.ON: PowerStatus.ON}.get(
            self, PowerStatus.UNKNOWN
        )


class Action(StrEnum):
    """What an operation is for."""

    OFF = "off"
    ON = "on"
    RESTART = "restart"


class Cause(StrEnum):
    """Who wanted an operation."""

    AUTOMATIC = "automatic"
    PERSON = "person"


class Outcome(StrEnum):
    """How an operation ended."""

    DONE = "done"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Liveness(StrEnum):
    """Is it alive?  See :mod:`pmwatchd.core.watch`."""

    UNKNOWN = "unknown"
    UP = "up"
    CONNECTING = "connecting"
    NON_RESPONSIVE = "non_responsive"
    BOOTING = "booting"


class HostStatus(StrEnum):
    """What is shown for a host: the first that applies, liveness last."""

    UNKNOWN = "unknown"
    UP = "up"
    CONNECTING = "connecting"
    NON_RESPONSIVE = "non_responsive"
    POWERING_OFF = "powering_off"
    OFF = "off"
    POWERING_ON = "powering_on"
    BOOTING = "booting"
    KDUMPING = "kdumping"
    MAINTENANCE = "maintenance"
    FAILED = "failed"


class ProbeType(StrEnum):
    """How a heartbeat is asked for."""

    TCP = "tcp"
    ICMP = "icmp"
    SSH = "ssh"
    HTTP = "http"


class ProbeResult(StrEnum):
    """What a heartbeat brought; a local fault is ours and counts for nothing."""

    ALIVE = "alive"
    SILENT = "silent"
    LOCAL_FAULT = "local_fault"


class AgentResult(StrEnum):
    """How the execution of an agent ended."""

    OK = "ok"
    ERROR = "error"  # exit 1 with a text that names no known reason
    AUTH_ERROR = "auth_error"
    UNREACHABLE = "unreachable"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    KILLED = "killed"
    GARBAGE = "garbage"
    NO_PROXY = "no_proxy"  # nobody could run it: nothing reached the device
    WITHDRAWN = "withdrawn"  # the last look was too old, or the host answered: not sent


class ProxyResult(StrEnum):
    """How one proxy did when it was asked to run an agent."""

    OK = "ok"  # it ran the agent, whatever the agent then said
    UNREACHABLE = "unreachable"
    HOST_KEY = "host_key"
    AUTH_ERROR = "auth_error"
    NO_SESSION = "no_session"
    NOT_INSTALLED = "not_installed"
    LOST = "lost"  # after the agent had started: an unknown outcome


class ProxySource(StrEnum):
    """Where a proxy is looked for."""

    CLUSTER = "cluster"
    DC = "dc"
    OTHER_DC = "other_dc"
    ENGINE = "engine"
    NAMED = "named"


class Switches(StrEnum):
    """What an agent switches: an outlet that feeds a host, or its chassis."""

    FEED = "feed"
    CHASSIS = "chassis"


class Alert(StrEnum):
    """Conditions that stay until mended."""

    UNFENCED = "unfenced"
    LEFT_OFF = "left_off"
    PARTIAL_OFF = "partial_off"
    DEGRADED_POWER = "degraded_power"
    MISWIRED = "miswired"
    UNPROTECTED = "unprotected"
    HALF_ALIVE = "half_alive"
    PARTITIONED = "partitioned"
    STORM = "storm"
    OBSERVER_ILL = "observer_ill"
    PARKED = "parked"
    JOURNAL_UNWRITABLE = "journal_unwritable"
    INVENTORY_REFUSED = "inventory_refused"


class HoldName(StrEnum):
    """Reasons not to fence now, in the order of the rules.  See :mod:`pmwatchd.core.holds`."""

    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    UNPROTECTED = "unprotected"
    STARTUP = "startup"
    OPERATION_RUNNING = "operation_running"
    QUIET_TIME = "quiet_time"
    BACKOFF = "backoff"
    OBSERVER_ILL = "observer_ill"
    STORM = "storm"
    KDUMP = "kdump"
    SEEN_BY_OTHERS = "seen_by_others"
    ALIVE_CHECK = "alive_check"
    PARKED = "parked"
    BUDGET = "budget"
    MISWIRED = "miswired"
    SELF = "self"
    JOURNAL_UNWRITABLE = "journal_unwritable"
    LAST_LOOK = "last_look"
    SHADOW = "shadow"  # safety.automatic is false: it is judged, and nothing is done


class Opinion(StrEnum):
    """What somebody else says of a silent host; who cannot be asked says nothing."""

    ALIVE = "alive"
    SILENT = "silent"
    NONE = "none"


class Secret(Protocol):
    """A value that shows itself only when asked by name; pydantic's ``SecretStr`` fits."""

    def get_secret_value(self) -> str:
        """The value itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """
    One way to ask a host for a sign of life.

    Attributes:
        address: Name or address that is asked; the host's own unless configured.
        port: TCP port; None for ``icmp``.
        path: Path of an ``http`` probe.
        tls: An ``http`` probe speaks TLS; any answer is a sign of life, no certificate is judged.
    """

    type: ProbeType
    address: str
    port: int | None = None
    path: str = "/"
    tls: bool = False

    @property
    def words(self) -> str:
        """How it is written for people, and how a canary is named: ``tcp://10.0.0.1:53``."""
        scheme = "https" if self.tls else self.type
        address = f"[{self.address}]" if ":" in self.address else self.address
        port = "" if self.port is None else f":{self.port}"
        return f"{scheme}://{address}{port}{self.path if self.type is ProbeType.HTTP else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """
    All probes of a host, and how they are combined: any of them, or all.

    Attributes:
        weak_is_silent: Weak signs alone (refused, echo, bare accept) are silence where
            the host has a probe that gives strong ones (``ssh``, ``http``).
    """

    probes: tuple[Probe, ...]
    interval_s: float = 5.0
    timeout_s: float = 2.0
    require_all: bool = False
    weak_is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """How long a host may be silent; both limits must be reached (oVirt BZ2071468)."""

    period_s: float = 60.0
    failures: int = 3


_SELECTING = frozenset(
    {
        "auth_url",
        "baremetalsolution",
        "blade",
        "chassis",
        "cloud",
        "compute_domain",
        "crn",
        "devices",
        "domain",
        "instance",
        "managed",
        "module",
        "module_name",
        "namespace",
        "node",
        "node_name",
        "project",
        "project_domain",
        "project_domain_name",
        "project_name",
        "pve_node",
        "rack",
        "redfish_uri",
        "region",
        "region_name",
        "resourcegroup",
        "server",
        "session_url",
        "suborg",
        "subscriptionid",
        "switch",
        "system",
        "systems_uri",
        "target",
        "tenant_name",
        "unit",
        "uuid",
        "vmtype",
        "vmware_datacenter",
        "zone",
    }
)
"""Options that say which switch, system, node or region behind one address a plug belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceAgent:
    """
    One way to reach the power switch of a target.

    Attributes:
        type: Canonical type, e.g. ``"ipmilan"`` for the program ``fence_ipmilan``.
        order: Agents of equal order are one concurrent group; lower orders are tried first.
        default_ipport: The port that it takes when it is told none, if that is known;
            it is never sent, because other options may make it another one.
        options_checked: The agent installed here knows every one of them.
        proxies: Preferences of its own, or None for those of the host.
        settle_s: How long after ``off`` or ``on`` a reading means nothing yet.
        min_command_interval_s: Least pause between two executions at the device.
    """

    name: str
    type: str
    address: str
    order: int = 1
    ipport: int | None = None
    default_ipport: int | None = None
    plug: str | None = None
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    options: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    options_checked: bool = False
    proxies: tuple[str, ...] | None = None
    settle_s: float = 0.0
    min_command_interval_s: float = 0.0
    switches: Switches = Switches.CHASSIS

    @property
    def device(self) -> str:
        """The device behind this agent; two agents of one device are never executed at once."""
        port = self.ipport or self.default_ipport or ""
        return f"{self.address.lower().rstrip('.')}:{port}"

    @property
    def outlet(self) -> str:
        """
        What it switches, whatever it is called: device, plug, and which part of the device.

        As the inventory has them: it is journalled, and the metadata that tells a
        default port may not be there at the next start.
        """
        address = self.address.lower().rstrip(".")
        parts = "".join(f";{name}={value}" for name, value in self.selection)
        return f"{address}:{self.ipport or ''}/{self.plug or ''}{parts}"

    @property
    def selection(self) -> tuple[tuple[str, str], ...]:
        """What of its options tells one part of the device from another: no secret ever does."""
        return tuple(
            (name, value)
            for name, value in sorted(self.options.items())
            if isinstance(value, str) and value and name.lower() in _SELECTING
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftFencing:
    """
    A command on the host itself, over SSH, before its power is cut; once per silence.

    Attributes:
        wait_s: How long an answer is waited for after it.
    """

    command: str
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AliveCheck:
    """
    A site's own command that knows whether a host is alive; exit status 0: it is.

    Attributes:
        command: Words, with ``{name}`` and ``{address}`` of the host filled in already.
        through_proxy: It runs on a proxy, not here.
        hold_on_error: What cannot be answered holds; else it is ignored.
    """

    command: tuple[str, ...]
    through_proxy: bool = False
    timeout_s: float = 10.0
    hold_on_error: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerManagement:
    """
    How a host is fenced.

    Attributes:
        proxies: Complete, see :func:`pmwatchd.core.proxies.complete`.
        kdump: It sends datagrams while it writes a crash dump.
    """

    enabled: bool = True
    kdump: bool = False
    soft_fencing: SoftFencing | None = None
    agents: tuple[FenceAgent, ...] = ()
    proxies: tuple[str, ...] = ()
    groups: tuple[tuple[FenceAgent, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        orders = sorted({agent.order for agent in self.agents})
        groups = (tuple(a for a in self.agents if a.order == order) for order in orders)
        object.__setattr__(self, "groups", tuple(groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsProxy:
    """How a host is reached over SSH when it runs agents for others."""

    enabled: bool = True
    user: str = "pmwatchd"
    port: int = 22
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """
    A watched machine, with every default already applied.

    Attributes:
        automatic: False: it is watched and judged, and never fenced automatically.
        engine: This daemon runs on it.
    """

    name: str
    address: str
    heartbeat: Heartbeat
    cluster: str = ""
    datacenter: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    grace: Grace = field(default_factory=Grace)
    extra_grace_s: float = 0.0
    boot_timeout_s: float = 600.0
    power_management: PowerManagement = field(default_factory=PowerManagement)
    as_proxy: AsProxy = field(default_factory=AsProxy)
    automatic: bool = True
    alive_check: AliveCheck | None = None
    engine: bool = False

    @property
    def fingerprint(self) -> str:
        """How it is asked and what counts; a host that changes it is ``unknown`` again."""
        probes = (
            f"{p.type}{'+tls' if p.tls else ''}://{p.address}:{p.port or ''}{p.path}"
            for p in self.heartbeat.probes
        )
        beat = self.heartbeat
        strict = ["all"] * beat.require_all + ["strong"] * beat.weak_is_silent
        return "|".join([self.address, *sorted(probes), *strict])

    @property
    def wiring(self) -> str:
        """Which outlets its agents switch; a host that changes it may be mended."""
        agents = self.power_management.agents
        return " ".join(sorted(f"{agent.name}={agent.outlet}" for agent in agents))

    def outlets(self, names: Collection[str]) -> frozenset[str]:
        """Return what these agents of it switch; names change, outlets stay."""
        agents = self.power_management.agents
        return frozenset(agent.outlet for agent in agents if agent.name in names)

    def named(self, outlets: Collection[str]) -> frozenset[str]:
        """Return its agents that switch these outlets."""
        if not outlets:  # as nearly always; it is asked whenever time passes
            return frozenset()
        agents = self.power_management.agents
        return frozenset(agent.name for agent in agents if agent.outlet in outlets)

    def devices(self, outlets: Collection[str]) -> frozenset[str]:
        """Return the devices behind these outlets, as its agents name them."""
        agents = self.power_management.agents
        return frozenset(agent.device for agent in agents if agent.outlet in outlets)

    @property
    def groups(self) -> tuple[tuple[FenceAgent, ...], ...]:
        """Agents by ascending order; those of equal order are one concurrent group."""
        return self.power_management.groups


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long one execution may take, as it was journalled before it began.

    Attributes:
        limit_s: After this ``timeout`` ends it with SIGTERM.
        kill_after_s: So much later with SIGKILL.
    """

    limit_s: float = 30.0
    kill_after_s: float = 5.0

    @property
    def over_s(self) -> float:
        """When it is certainly over, counted from the confirmation of its start."""
        return self.limit_s + 2 * self.kill_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A machine that may run an agent.  The engine runs it as a local process."""

    name: str
    source: ProxySource
    address: str = ""
    port: int = 22
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """
    What became of one proxy of a chain.

    Attributes:
        answer: What the agent came to there, where it ran.
    """

    proxy: str
    source: ProxySource
    result: ProxyResult
    answer: AgentResult | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The end of one order to an agent, certainly over.

    Attributes:
        power: What a ``status`` proved; always unknown for ``off`` and ``on``.
        tries: Every proxy that was asked, the one that ran the agent last.
        text: What the agent said, one line, limited, without secrets.
    """

    result: AgentResult
    power: PowerStatus = PowerStatus.UNKNOWN
    tries: tuple[Try, ...] = ()
    exit_code: int | None = None
    took_s: float = 0.0
    text: str = ""

    @property
    def proxy(self) -> str | None:
        """The machine that ran the agent, if any did."""
        ran = self.tries and self.result not in (AgentResult.NO_PROXY, AgentResult.WITHDRAWN)
        return self.tries[-1].proxy if ran else None

    @property
    def uncertain(self) -> bool:
        """The command may or may not have reached the device."""
        return self.result in (AgentResult.TIMEOUT, AgentResult.KILLED)
