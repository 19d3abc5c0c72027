"""``[safety]``: what protects the fleet from its guard, and what the core takes from it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pmwatchd.config import durations
from pmwatchd.config.faults import WrongError
from pmwatchd.config.values import (
    Count,
    Full,
    ProbeModel,
    Section,
    check_address,
    check_command,
    no_flag,
    probe_of,
)
from pmwatchd.core import rules
from pmwatchd.core.addresses import same_address

_LABEL = re.compile(r"label:[^\s{}]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("name", "address", "cluster", "datacenter")
_ALL_PERCENT = 100


def _domain(value: object) -> str:
    if not isinstance(value, str) or not (value in ("fleet", "cluster") or _LABEL.fullmatch(value)):
        raise WrongError(
            "is neither fleet, cluster nor label:KEY", 'Write for example "cluster" or "label:rack"'
        )
    return value


def _percent_from(least: int) -> BeforeValidator:
    """Validate a share from *least* to 100; what is written whole is shown whole."""

    def validate(value: object) -> int | float:
        number: int | float | None = None
        if isinstance(value, str):  # as the environment gives it
            try:
                number = float(value)
            except ValueError:
                number = None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            number = value
        if number is None:
            raise WrongError("is not a number of percent", "Write it as a number, like 50")
        if not least <= number <= _ALL_PERCENT:
            limits = f"{least} and {_ALL_PERCENT}"
            raise WrongError(f"must lie between {limits}", f"Give a number between {limits}")
        return int(number) if number == int(number) else number

    return BeforeValidator(validate)


def _known_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Find a slip of the pen here, where it is one fault, and not in every host."""
    for word in words:
        for name in _PLACEHOLDER.findall(word):
            if name not in _PLACEHOLDERS and not _LABEL.fullmatch(name):
                raise WrongError(
                    f"the placeholder {{{name}}} is not known",
                    "Known are {name}, {address}, {cluster}, {datacenter}, {label:KEY}",
                )
    return words


def _canaries(found: tuple[CanaryModel, ...]) -> tuple[CanaryModel, ...]:
    """More than half of them are counted, so none may count twice."""
    probes = [probe_of(canary, same_address(canary.address)) for canary in found]
    if len(set(probes)) < len(probes):
        raise WrongError("names the same canary twice", "Remove one of them")
    return found


def _split_domains(value: object) -> object:
    """Domains as a list, or as the environment has them: in one text, with commas."""
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if isinstance(value, (list, tuple)) and not value:
        raise WrongError(
            "is empty, so nothing would notice that a network is down", 'Name at least "fleet"'
        )
    return value


def _spelled_out(value: object) -> object:
    """A domain may be written as a mere word."""
    return value if isinstance(value, (dict, DomainSettings)) else {"by": _domain(value)}


def _domains(found: tuple[DomainSettings, ...]) -> tuple[DomainSettings, ...]:
    names = [domain.by for domain in found]
    for name in names:
        if names.count(name) > 1:
            raise WrongError(f"names the domain {name!r} twice", "Remove one of them")
    return found


Domain = Annotated[str, BeforeValidator(_domain)]
Command = Annotated[tuple[str, ...], BeforeValidator(check_command)]


class CanaryModel(ProbeModel):
    """Something that answers, unless our own place in the network is ill."""

    address: Annotated[Full, AfterValidator(check_address)]


class AliveCheckSettings(Section):
    """
    A site's own command that knows whether a host is alive; *timeout* in seconds.

    A last look is patient for 30 s, so no answer may take longer than that.
    """

    command: Annotated[Command, AfterValidator(_known_words)] = ()
    on: Literal["here", "proxy"] = "here"
    timeout: Annotated[float, durations.within("100ms", "20s")] = 10.0
    on_error: Literal["hold", "ignore"] = "hold"


class SpacingSettings(Section):
    """Least pause between two power-ons of one domain, in seconds."""

    by: Domain = "label:pdu"
    gap: Annotated[float, durations.within("0s", "1h")] = 0.0


class BurstSettings(Section):
    """Over so many percent, and more than so many hosts, silent within so many seconds."""

    percent: Annotated[int | float, _percent_from(0)] = 10
    hosts: Count = 3
    within: Annotated[float, durations.within("100ms", "1h")] = 30.0


class DomainSettings(Section):
    """One way to part the fleet; without a threshold of its own that of all counts."""

    by: Domain
    threshold_percent: Annotated[int | float, _percent_from(1)] | None = None


class StormSettings(Section):
    """When silence looks like a network fault; *cooldown* in seconds."""

    threshold_percent: Annotated[int | float, _percent_from(1)] = 50
    min_hosts: Count = 3
    cooldown: Annotated[float, durations.within("0s", "1d")] = 60.0
    burst: BurstSettings = BurstSettings()
    domains: Annotated[
        tuple[Annotated[DomainSettings, BeforeValidator(_spelled_out)], ...],
        BeforeValidator(_split_domains),
        AfterValidator(_domains),
    ] = (DomainSettings(by="fleet"), DomainSettings(by="cluster"))

    def rules(self) -> rules.StormRules:
        """What the core takes from it."""
        return rules.StormRules(
            domains=tuple(
                rules.DomainRule(
                    by=domain.by,
                    threshold_percent=float(domain.threshold_percent or self.threshold_percent),
                )
                for domain in self.domains
            ),
            min_hosts=self.min_hosts,
            cooldown_s=self.cooldown,
            burst=rules.Burst(
                percent=float(self.burst.percent),
                hosts=self.burst.hosts,
                within_s=self.burst.within,
            ),
        )


class SafetySettings(Section):
    """What protects the fleet from its guard; durations in seconds."""

    automatic: bool = True
    startup_hold: Annotated[float, durations.within("0s", "1d")] = 300.0
    max_concurrent: Count = 10
    per_hour: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(no_flag)] = 60
    loop_limit: Count = 3
    loop_window: Annotated[float, durations.within("1s", "30d")] = 3600.0
    inspect_every: Annotated[float, durations.within("0s", "30d")] = 6 * 3600.0
    witnesses: Annotated[int, Field(ge=0, le=20), BeforeValidator(no_flag)] = 2
    canaries: Annotated[tuple[CanaryModel, ...], AfterValidator(_canaries)] = ()
    poweron_spacing: SpacingSettings = SpacingSettings()
    alive_check: AliveCheckSettings = AliveCheckSettings()
    storm: StormSettings = StormSettings()

    def rules(self) -> rules.Safety:
        """What the core takes from it; what each host may say itself is in the host."""
        return rules.Safety(
            automatic=self.automatic,
            startup_hold_s=self.startup_hold,
            max_concurrent=self.max_concurrent,
            per_hour=self.per_hour,
            loop_limit=self.loop_limit,
            loop_window_s=self.loop_window,
            inspect_every_s=self.inspect_every,
            witnesses=self.witnesses,
            canaries=tuple(probe_of(canary, canary.address) for canary in self.canaries),
            poweron_spacing=rules.Spacing(
                by=self.poweron_spacing.by, gap_s=self.poweron_spacing.gap
            ),
            storm=self.storm.rules(),
        )


def shown_domain(domain: DomainSettings) -> Any:
    """A domain as it would be written: a mere word where that says it all."""
    return domain.by if domain.threshold_percent is None else domain.model_dump()
