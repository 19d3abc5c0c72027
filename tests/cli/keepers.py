"""What a scripted daemon makes of a person's words for the whole site."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.events import (
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    ResumeRequested,
)
from pmwatchd.core.orders import Accepted, Refused
from pmwatchd.core.views import KeeperView, SiteView

Word = PauseRequested | ResumeRequested | OverrideRequested | OverrideEndRequested


def heard(said: SiteView, word: Word) -> tuple[SiteView, Accepted | Refused]:
    """Keep a word or end it; what is not there cannot be ended."""
    match word:
        case PauseRequested(by=by, reason=reason, for_s=for_s):
            said = replace(said, paused=KeeperView(by=by, reason=reason, until_at=for_s))
        case OverrideRequested(by=by, reason=reason, for_s=for_s):
            said = replace(said, override=KeeperView(by=by, reason=reason, until_at=for_s))
        case ResumeRequested() if said.paused is None:
            return said, Refused(type="not-paused", reason="automatic fencing is not paused")
        case OverrideEndRequested() if said.override is None:
            return said, Refused(type="not-overridden", reason="no storm is overridden")
        case ResumeRequested():
            said = replace(said, paused=None)
        case OverrideEndRequested():
            said = replace(said, override=None)
    return said, Accepted()
