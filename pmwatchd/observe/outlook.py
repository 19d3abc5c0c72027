"""
What would have to change before a host is fenced: one plain sentence for each hold.

Made from the live pictures alone.  Besides the holds that apply now there are
those that can be foreseen for a host that is not silent, or not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from pmwatchd.core.model import Alert, HoldName, Liveness
from pmwatchd.core.operation import Phase
from pmwatchd.core.views import HostView, OperationView, SiteView
from pmwatchd.observe.messages import Level, Message

WallOf = Callable[[float], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """
    A hold that stops automatic fencing of a host, and what ends it.

    Attributes:
        since: None: it is foreseen; the host is not being judged, or something else came first.
        until: When time alone ends it, where that is known.
        sentence: What would have to change.
    """

    hold: HoldName
    reason: str
    sentence: str
    since: datetime | None = None
    until: datetime | None = None


SENTENCES: Mapping[HoldName, str] = MappingProxyType(
    {
        HoldName.PAUSED: "It waits for the end of the pause[ ({until})], or for `pmwatchd resume`.",
        HoldName.MAINTENANCE: (
            "It waits for the end of its maintenance[ ({until})], or for "
            "`pmwatchd maintenance end {host}`."
        ),
        HoldName.UNPROTECTED: (
            "It is never fenced without power management and a fence agent: give it both in the "
            "inventory, then `pmwatchd reload`."
        ),
        HoldName.STARTUP: (
            "It waits for the end of the startup hold[ ({until})], because it has not answered "
            "since the daemon started."
        ),
        HoldName.OPERATION_RUNNING: "It waits for the end of the operation that is running.",
        HoldName.QUIET_TIME: (
            "It waits for the end of the quiet time after the last proven off[ ({until})]."
        ),
        HoldName.BACKOFF: "The next try begins when the backoff is over[ ({until})].",
        HoldName.OBSERVER_ILL: (
            "It waits until our own place in the network is well: canaries, other hosts or a "
            "witness have to answer this daemon, and it has to be able to try the host's probes."
        ),
        HoldName.STORM: (
            "It waits until fewer hosts are silent and the cooldown is over[ ({until})], or for "
            "`pmwatchd override storm` if they are really dead."
        ),
        HoldName.KDUMP: (
            "It waits for the crash dump[, no longer than until {until}]; when a dump ends the "
            "host boots by itself and is not fenced."
        ),
        HoldName.SEEN_BY_OTHERS: (
            "It waits until no witness reaches the host any more; the way from this daemon to it "
            "needs a look."
        ),
        HoldName.ALIVE_CHECK: (
            "It waits until the alive check can be asked and no longer knows the host alive."
        ),
        HoldName.PARKED: "It waits for a person who looks at it: `pmwatchd ack {host}`.",
        HoldName.BUDGET: "It waits for its turn in the queue[; the next place is free at {until}].",
        HoldName.MISWIRED: (
            "It waits until its agents switch the right machine: correct the wiring, or the "
            "inventory and then `pmwatchd reload`. What was read while all was well ends when they "
            "read on while it answers; what an off has shown ends with another definition of the "
            "agents, or when `pmwatchd power restart {host}` proves an off that nobody answers."
        ),
        HoldName.SELF: "It is never fenced by this daemon, which runs on it.",
        HoldName.JOURNAL_UNWRITABLE: (
            "It waits until the journal can be written again: look at the disk of the state "
            "directory."
        ),
        HoldName.LAST_LOOK: (
            "It answered when it was looked at for the last time: it has to be silent beyond its "
            "grace again."
        ),
        HoldName.SHADOW: (
            "It is never fenced automatically while safety.automatic is false for it: only "
            "`pmwatchd power restart {host}` does it."
        ),
    }
)

_OF_ALERT = MappingProxyType(
    {
        Alert.UNPROTECTED: HoldName.UNPROTECTED,
        Alert.PARKED: HoldName.PARKED,
        Alert.MISWIRED: HoldName.MISWIRED,
    }
)

_DOING = MappingProxyType(
    {
        Phase.BLOCKED: "waits until no earlier command can still be running at its devices",
        Phase.OFF: "reads its power, switches it off and sees it off",
        Phase.LOOK: "takes the last look before an off: all holds again, and a fresh heartbeat",
        Phase.ON: "switches it on and sees it on",
        Phase.RESTING: "waits before it tries again to switch it on",
        Phase.CLOSED: "has ended",
    }
)

_RANK = {name: number for number, name in enumerate(HoldName)}


def stamp(at: datetime) -> str:
    """Write an instant for people, in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def obstacles(view: HostView, site: SiteView, wall_of: WallOf) -> tuple[Obstacle, ...]:
    """Return what stops automatic fencing of a host, in the order of the rules."""
    ends = dict(_foreseen_ends(view, site))
    reasons = dict(_foreseen(view, site))
    since: dict[HoldName, datetime] = {}
    for hold in view.holds:
        reasons[hold.name] = hold.reason
        since[hold.name] = wall_of(hold.since_at)
        if hold.until_at is not None:
            ends[hold.name] = hold.until_at
    untils = {name: wall_of(until_at) for name, until_at in ends.items()}
    return tuple(
        Obstacle(
            hold=name,
            reason=reasons[name],
            sentence=_sentence(name, view.host.name, untils.get(name)),
            since=since.get(name),
            until=untils.get(name),
        )
        for name in sorted(reasons, key=_RANK.__getitem__)
    )


def _sentence(name: HoldName, host: str, until: datetime | None) -> str:
    words = {"host": host, "until": None if until is None else stamp(until)}
    return Message(Level.INFO, SENTENCES[name]).render(words)


def _foreseen(view: HostView, site: SiteView) -> Iterator[tuple[HoldName, str]]:
    """Holds that are sure to apply as soon as the host is judged."""
    if (pause := site.paused) is not None:
        yield HoldName.PAUSED, f"paused by {pause.by}: {pause.reason}"
    if (keeper := view.maintenance) is not None:
        yield HoldName.MAINTENANCE, f"maintenance by {keeper.by}: {keeper.reason}"
    for alert in view.alerts:
        if alert.name in _OF_ALERT:
            yield _OF_ALERT[alert.name], alert.reason
    if view.host.engine:
        yield HoldName.SELF, "this daemon runs on the host"
    if not view.host.automatic:
        yield HoldName.SHADOW, "safety.automatic is false for it: it is only judged"


def _foreseen_ends(view: HostView, site: SiteView) -> Iterator[tuple[HoldName, float]]:
    if site.paused is not None:
        yield HoldName.PAUSED, site.paused.until_at
    if view.maintenance is not None and view.maintenance.until_at is not None:
        yield HoldName.MAINTENANCE, view.maintenance.until_at


def outlook(view: HostView, running: OperationView | None, wall_of: WallOf) -> str:
    """Say in one sentence what comes next for a host, obstacles aside."""
    if view.operation is not None:
        return _under_way(view.operation, running)
    grace = view.host.grace
    grace_s = grace.period_s + view.host.extra_grace_s
    limits = f"{grace.failures} silent heartbeats in a row and {grace_s:g} s without an answer"
    match view.liveness:
        case Liveness.UNKNOWN:
            return (
                "It has never answered at its present address with its present probes: it is "
                "not fenced before it has answered once."
            )
        case Liveness.UP:
            return f"It is judged as soon as it is silent beyond its grace: {limits}."
        case Liveness.CONNECTING if Alert.OBSERVER_ILL in {alert.name for alert in view.alerts}:
            return (
                "Nothing is known of it: its probes cannot be tried from here. Its grace begins "
                "with the first heartbeat that it does not answer."
            )
        case Liveness.CONNECTING:
            heard_at = view.since_at if view.last_answer_at is None else view.last_answer_at
            earliest = stamp(wall_of(heard_at + grace_s))
            return (
                f"Its grace is not over: {limits}, so not before {earliest}; then it is judged, "
                "unless it answers."
            )
        case Liveness.BOOTING:
            until = stamp(wall_of(view.since_at + view.host.boot_timeout_s))
            why = "was powered on" if view.ours else "boots by itself after its crash dump"
            return f"It {why} and has time to boot until {until}; then its grace begins."
        case Liveness.NON_RESPONSIVE:
            return (
                "Once nothing holds it, others are asked whether they reach it, soft fencing is "
                "tried where it is configured, and a last look is taken before its power is cut."
            )


def _under_way(operation: str, running: OperationView | None) -> str:
    if running is None:
        return f"Operation {operation} is under way."
    doing = next((words for phase, words in _DOING.items() if phase == running.phase), None)
    return f"Operation {operation} {doing or f'is under way, in {running.phase}'}."
