"""
Who runs the agent?

A host names its preferences (``cluster``, ``dc``, ``other_dc``, ``engine`` or
a machine); this file turns them into a chain of candidates.  Choosing is
pure: nobody is asked and nobody waits; the runner walks the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pmwatchd.core.addresses import same_address
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAgent,
    Host,
    ProxyResult,
    ProxySource,
    Reply,
)
from pmwatchd.core.rules import Rules

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
FORGET_AFTER_S = 300.0
"""How long a failed path is put last; long enough to skip a dead proxy, short enough to heal."""

_IMPLIED = (ProxySource.ENGINE, ProxySource.CLUSTER, ProxySource.DC)
_SOURCES = frozenset(ProxySource) - {ProxySource.NAMED}


def normalize(word: str) -> str:
    """Return a preference as it is compared: sources in lower case, ``datacenter`` as ``dc``."""
    word = word.strip()
    lower = word.lower()
    if lower == "datacenter":
        return ProxySource.DC
    return lower if lower in _SOURCES else word


def complete(words: Sequence[str], *, implicit: bool) -> tuple[str, ...]:
    """
    Append what is missing of ``engine``, ``cluster``, ``dc``, in that order.

    ``other_dc`` is never implied (oVirt, Host PM Proxy Preferences).
    """
    given = tuple(normalize(word) for word in words)
    if not implicit:
        return given
    return given + tuple(str(source) for source in _IMPLIED if source not in given)


@dataclass(frozen=True, slots=True)
class Path:
    """What is known of one proxy and one device."""

    worked: bool
    at: float


@dataclass(slots=True)
class PathMemory:
    """Which proxy reached which device, lately; kept by the fleet, fed with replies."""

    paths: dict[tuple[str, str], Path] = field(default_factory=dict)

    def learn(self, agent: FenceAgent, reply: Reply, now: float) -> None:
        """Take in who could and who could not; a refused password tells nothing of either."""
        for attempt in reply.tries:
            if attempt.answer is AgentResult.AUTH_ERROR:
                continue
            worked = attempt.result is ProxyResult.OK and attempt.answer is AgentResult.OK
            self.paths[attempt.proxy, agent.device] = Path(worked, now)

    def rank(self, proxy: str, device: str, now: float) -> int:
        """0: worked, 1: not known, 2: failed lately."""
        path = self.paths.get((proxy, device))
        if path is None:
            return 1
        if path.worked:
            return 0
        return 2 if now - path.at < FORGET_AFTER_S else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """
    The machines that may serve, as the fleet sees them now.

    Attributes:
        eligible: Hosts that are up, not in maintenance, not in an operation.
        watched: Every host of the inventory, by name.
        called: Their names by whatever else they are called, see :func:`spellings`.
        load: Executions that run now, by proxy name.
    """

    eligible: Mapping[str, Host]
    watched: Mapping[str, Host]
    memory: PathMemory
    called: Mapping[str, str] = field(default_factory=dict)
    load: Mapping[str, int] = field(default_factory=dict)


def chain(
    target: Host,
    agent: FenceAgent,
    neighbours: Neighbours,
    rules: Rules,
    now: float,
    *,
    without: Iterable[str] = (),
) -> tuple[Candidate, ...]:
    """
    Every machine that may run *agent* for *target*, the best first, each once, however spelled.

    The first ``candidates_per_source`` of each source come before the rest,
    and paths that failed lately come last of all.
    """
    first: list[Candidate] = []
    rest: list[Candidate] = []
    seen = {_identity(name, neighbours) for name in without}

    def rank(candidate: Candidate) -> tuple[int, int, str]:
        known = neighbours.memory.rank(candidate.name, agent.device, now)
        return known, neighbours.load.get(candidate.name, 0), candidate.name

    for word in agent.proxies or target.power_management.proxies:
        able = _candidates(word, target, neighbours, rules)
        found = [c for c in able if _identity(c.name, neighbours) not in seen]
        found.sort(key=rank)
        seen.update(_identity(c.name, neighbours) for c in found)
        first += found[: rules.fencing.candidates_per_source]
        rest += found[rules.fencing.candidates_per_source :]
    return tuple(sorted(first + rest, key=lambda c: rank(c)[0] == _FAILED))


_FAILED = 2


def _candidates(
    word: str, target: Host, neighbours: Neighbours, rules: Rules
) -> Iterator[Candidate]:
    """All machines that one preference stands for."""
    match word:
        case ProxySource.ENGINE:
            yield ENGINE
        case ProxySource.CLUSTER | ProxySource.DC | ProxySource.OTHER_DC:
            source = ProxySource(word)
            for host in neighbours.eligible.values():
                if host.name != target.name and _belongs(host, target, source):
                    yield _as_candidate(host, source)
        case _:
            yield from _named(word, target, neighbours, rules)


def _belongs(host: Host, target: Host, source: ProxySource) -> bool:
    if not host.as_proxy.enabled:
        return False
    if source is ProxySource.CLUSTER:
        return host.cluster == target.cluster
    same = host.datacenter == target.datacenter
    return same if source is ProxySource.DC else not same


def _named(word: str, target: Host, neighbours: Neighbours, rules: Rules) -> Iterator[Candidate]:
    """
    A machine given by name or address, in any spelling.

    One that is not monitored needs no liveness; one that is must be eligible.
    """
    known = neighbours.watched
    name = neighbours.called.get(same_address(word), word)
    # The target may have left the inventory during its operation.
    gone = target if name not in known and same_address(word) in _spellings(target) else None
    watched = known.get(word) or known.get(name) or gone
    if watched is None:
        yield Candidate(
            name=word,
            source=ProxySource.NAMED,
            address=word,
            port=rules.ssh_port,
            user=rules.ssh_user,
        )
        return
    able = watched.name in neighbours.eligible and watched.as_proxy.enabled
    if able and watched.name != target.name:
        yield _as_candidate(watched, ProxySource.NAMED)


def spellings(hosts: Mapping[str, Host]) -> dict[str, str]:
    """Return the names of hosts by each way to call them; a name goes before an address."""
    ways = (_spellings(host) for host in hosts.values())
    found: dict[str, str] = {}
    for place in zip(*ways, strict=True):
        for name, spelled in zip(hosts, place, strict=True):
            if spelled:
                found.setdefault(spelled, name)
    return found


def _spellings(host: Host) -> tuple[str, str, str]:
    """Its name, its address, and the one that it has as a proxy."""
    proxy = host.as_proxy.address
    return same_address(host.name), same_address(host.address), same_address(proxy) if proxy else ""


def _identity(name: str, neighbours: Neighbours) -> str:
    """By what a candidate is known as one machine; a host of the inventory has one name."""
    return name if name in neighbours.watched else same_address(name)


def _as_candidate(host: Host, source: ProxySource) -> Candidate:
    """A host as a proxy; the machine this daemon runs on needs no SSH."""
    if host.engine:
        return ENGINE
    return Candidate(
        name=host.name,
        source=source,
        address=host.as_proxy.address or host.address,
        port=host.as_proxy.port,
        user=host.as_proxy.user,
    )
