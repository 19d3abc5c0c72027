"""
What every event is called in words, and how loud it is.

The table is complete: an event without a row here does not exist.  A template
names fields in braces; a part in square brackets is left out when one of its
fields is missing, so a record with few fields still makes a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

FIELD = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"\[([^\]]*)\]")
LIST_MAX = 10


class Level(StrEnum):
    """How loud a record is; the list is closed."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Message:
    """The level of an event and its sentence."""

    level: Level
    template: str

    def render(self, fields: Mapping[str, object]) -> str:
        """One sentence for people; a field that is missing is shown as ``?``."""
        kept = OPTIONAL.sub(lambda match: _optional(match[1], fields), self.template)
        return FIELD.sub(lambda match: _words(fields.get(match[1])), kept)


def _optional(part: str, fields: Mapping[str, object]) -> str:
    names = FIELD.findall(part)
    return part if all(fields.get(name) not in (None, "", ()) for name in names) else ""


def _words(value: object) -> str:
    match value:
        case None:
            return "?"
        case float():
            return f"{value:.1f}".removesuffix(".0")
        case tuple() | list() if len(value) > LIST_MAX:
            return f"{_words(value[:LIST_MAX])} and {len(value) - LIST_MAX} more"
        case tuple() | list():
            return ", ".join(str(part) for part in value)
        case _:
            return str(value)


def message_of(event: str) -> Message:
    """The row of an event; one that is missing is a warning that says its own name."""
    return MESSAGES.get(event) or Message(Level.WARNING, f"{event}[ at {{host}}][: {{reason}}]")


DEBUG, INFO, WARNING, ERROR, CRITICAL = Level

MESSAGES: Mapping[str, Message] = MappingProxyType(
    {
        event: Message(level, template)
        for event, level, template in (
            ("daemon.started", INFO, "The daemon has started[, version {version}]"),
            ("daemon.stopped", INFO, "The daemon has stopped[: {reason}]"),
            ("daemon.crashed", CRITICAL, "A bug or a broken invariant ends the daemon[: {reason}]"),
            ("inventory.loaded", INFO, "The inventory is loaded: {hosts} hosts"),
            ("inventory.refused", ERROR, "The inventory is refused[ for {host}]: {reason}"),
            ("inventory.warned", WARNING, "The inventory is accepted, but: {reason}"),
            (
                "config.reloaded",
                INFO,
                (
                    "The configuration is reloaded[; added: {added}][; changed: {changed}]"
                    "[; removed: {removed}]"
                ),
            ),
            (
                "config.reload_failed",
                ERROR,
                "The configuration could not be reloaded, the running one is kept[: {reason}]",
            ),
            ("secret.unreadable", ERROR, "A secret cannot be read[ for {host}][: {reason}]"),
            ("observer.paused", WARNING, "This daemon itself did not run for {for_s} s"),
            (
                "observer.ill",
                ERROR,
                "The fault seems to be ours: nobody is fenced, silence does not count[: {reason}]",
            ),
            (
                "observer.well",
                INFO,
                "Our own place in the network is well again[ after {took_s} s]",
            ),
            (
                "heartbeat.local_fault",
                WARNING,
                (
                    "A heartbeat[ of {host}] failed on our side[ ({reason})] and counts for nothing"
                    "[; {unsaid} more of the kind were not told]"
                ),
            ),
            (
                "watch.grace_began",
                WARNING,
                "{host} does not answer, its grace period has begun[ ({silent_s} s silent)]",
            ),
            (
                "watch.non_responsive",
                ERROR,
                "{host} is non-responsive[, silent for {silent_s} s]",
            ),
            (
                "watch.answered",
                INFO,
                "{host} answers[, it was {was}][ for {took_s} s]",
            ),
            ("hold.began", WARNING, "{host} is not fenced now: {hold}[ ({reason})]"),
            ("hold.ended", INFO, "{host} is no longer held by {hold}"),
            (
                "witness.said",
                INFO,
                "{proxy} was asked whether it reaches {host}: {result}[ ({reason})]",
            ),
            ("alive.checked", INFO, "The alive check of {host} says: {result}[ ({reason})]"),
            (
                "host.parked",
                ERROR,
                (
                    "{host} is parked[ after {fenced} fencings]: it is not fenced again until a "
                    "person acknowledges[ ({reason})]"
                ),
            ),
            (
                "host.acknowledged",
                INFO,
                "{by} has looked at {host}, it may be fenced again[ ({reason})]",
            ),
            (
                "fence.would_have",
                WARNING,
                "{host} would have been fenced now, but safety.automatic is false[ ({reason})]",
            ),
            ("fence.soft_began", WARNING, "{host} is fenced softly: its command runs on it now"),
            (
                "fence.soft_ended",
                INFO,
                "Soft fencing of {host} is over[: {result}][ after {took_s} s][ ({reason})]",
            ),
            (
                "fence.opened",
                WARNING,
                (
                    "Operation {operation} has begun: {action} of {host}[, {cause}][ by {by}]"
                    "[ ({reason})]"
                ),
            ),
            (
                "fence.intended",
                DEBUG,
                "About to ask agent {agent} of {host} for {action}[ (attempt {attempt})]",
            ),
            (
                "fence.agent_executed",
                INFO,
                (
                    "Agent {agent} of {host}, {action}[ by {proxy}]: {result}"
                    "[, power {power}][ in {took_s} s][ ({reason})]"
                ),
            ),
            (
                "fence.proxy_failed",
                WARNING,
                "Proxy {proxy} could not run agent {agent} of {host}: {result}[ ({reason})]",
            ),
            (
                "fence.no_proxy",
                ERROR,
                (
                    "No proxy could run agent {agent} of {host}[ for {action}][; tried: {tried}]"
                    "[ ({reason})]"
                ),
            ),
            (
                "fence.off_proven",
                INFO,
                "{host} is proven off[ by group {group}][ after {took_s} s]",
            ),
            (
                "fence.spaced",
                INFO,
                "{agent} switches {host} on in {for_s} s: power-ons of one {reason} are spaced",
            ),
            ("fence.on_proven", INFO, "{host} is proven on[ by group {group}][ after {took_s} s]"),
            (
                "fence.off_failed",
                ERROR,
                "{host} could not be proven off[ by group {group}][: {reason}]",
            ),
            (
                "fence.on_failed",
                ERROR,
                "{host} could not be proven on[ by group {group}][: {reason}]",
            ),
            (
                "fence.restoring",
                WARNING,
                "{host} is not proven off; what was sent off is switched on again[: {reason}]",
            ),
            (
                "fence.continued",
                WARNING,
                "Operation {operation} on {host} is continued after a restart[ in {phase}]",
            ),
            (
                "fence.closed",
                INFO,
                (
                    "Operation {operation} on {host} has ended: {outcome}[ after {took_s} s]"
                    "[ ({reason})]"
                ),
            ),
            ("kdump.began", WARNING, "{host} writes a crash dump: it is waited for[ ({reason})]"),
            (
                "kdump.ended",
                INFO,
                "The crash dump of {host} is over[ after {took_s} s][: {reason}]",
            ),
            (
                "kdump.refused",
                WARNING,
                (
                    "Datagrams at the crash dump port were refused: {unknown} from addresses of no "
                    "host with kdump, {garbage} that are no message of a dump, {surplus} more than "
                    "two per second of a host[; one came from {sender}]"
                ),
            ),
            (
                "kdump.unresolved",
                WARNING,
                (
                    "A crash dump of {host} would not be heard: its address[ {address}] "
                    "cannot be resolved"
                ),
            ),
            ("alert.raised", WARNING, "Alert {alert}[ for {host}][: {reason}]"),
            ("alert.cleared", INFO, "Alert {alert} is mended[ for {host}]"),
            (
                "maintenance.began",
                INFO,
                "{host} is in maintenance[ by {by}][ until {until}][ ({reason})]",
            ),
            (
                "maintenance.ended",
                INFO,
                "{host} is no longer in maintenance[, ended by {by}][ ({reason})]",
            ),
            (
                "maintenance.end_announced",
                WARNING,
                "The maintenance of {host} ends soon[, at {until}]: it may be fenced from then on",
            ),
            (
                "pause.began",
                WARNING,
                "All automatic fencing is paused[ by {by}][ until {until}][ ({reason})]",
            ),
            (
                "pause.end_announced",
                WARNING,
                "The pause of all automatic fencing ends soon[, at {until}]",
            ),
            (
                "pause.ended",
                INFO,
                "Automatic fencing is no longer paused[, ended by {by}][ ({reason})]",
            ),
            (
                "override.began",
                WARNING,
                "A storm stops no fencing[, says {by}][, until {until}][ ({reason})]",
            ),
            ("override.end_announced", WARNING, "The storm override ends soon[, at {until}]"),
            (
                "override.ended",
                INFO,
                "A storm stops fencing again[, the override was ended by {by}][ ({reason})]",
            ),
            (
                "journal.failed",
                CRITICAL,
                "The journal cannot be written, no new operation begins[: {reason}]",
            ),
            (
                "journal.replaced",
                ERROR,
                "The journal was damaged ({reason}) and is replaced; lost: {lost}; kept as {kept}",
            ),
            ("journal.recovered", WARNING, "The journal is written again"),
            (
                "agent.metadata_refused",
                WARNING,
                "fence_{type} on {proxy} does not say which options it knows[: {reason}]",
            ),
            (
                "agent.option_dropped",
                WARNING,
                "Option {option} is not sent to fence_{type} on {proxy}, which does not know it",
            ),
            ("proxy.connected", INFO, "Connected to proxy {proxy}"),
            ("proxy.lost", WARNING, "The connection to proxy {proxy} is lost[: {reason}]"),
            ("api.command", INFO, "{by} asks for {action}[ of {host}][ ({reason})]"),
            ("api.denied", WARNING, "{by} is refused[ {action}][ of {host}]: {reason}"),
            ("api.socket_restricted", WARNING, "The API socket serves its owner only: {reason}"),
        )
    }
)
