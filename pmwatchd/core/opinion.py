"""
What do others say?

Before a silent host is fenced, proxies try it from their own place in the
network, and the site's own command may know it alive.  Who cannot be asked
counts for nothing.  One round of questions at a time, numbered, so that an
answer to an older one proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pmwatchd.core.holds import Verdict
from pmwatchd.core.model import AliveCheck, HoldName, Opinion

ASK_EVERY_S = 5.0
"""A host is asked about at most so often."""

ROUND_S = 6.0
"""So long others are asked in the place of those that cannot be."""

GOOD_FOR_S = 8.0
"""What others said counts for so long: two rounds, so that a slow answer does not make a gap."""

SETTLED_FOR_S = 5.0
"""After a slow answer there is at least so much time to act upon it before another round."""


@dataclass(frozen=True, slots=True)
class Word:
    """What one of them said, and when."""

    opinion: Opinion
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """
    Questions about one silent host.

    Attributes:
        number: Of the present round; 0: nobody was ever asked.
        asked: Witnesses of this round.
        waiting: Witnesses of this round that have not answered.
        checking: The site's own command has not answered.
        words: What each witness said in this round.
        check: What the site's own command said last.
        answered_at: When the last answer of this round came.
    """

    number: int = 0
    asked_at: float = -math.inf
    asked: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    checking: bool = False
    words: Mapping[str, Word] = field(default_factory=dict)
    check: Word | None = None
    answered_at: float = -math.inf

    @property
    def pending(self) -> bool:
        """Somebody has not answered yet."""
        return bool(self.waiting) or self.checking


def forget(inquiry: Inquiry) -> Inquiry:
    """Forget what was said about a silence that is over; numbers go on."""
    return Inquiry(number=inquiry.number)


def due(inquiry: Inquiry, now: float) -> bool:
    """Whether another round may begin."""
    again_at = max(inquiry.asked_at + ASK_EVERY_S, inquiry.answered_at + SETTLED_FOR_S)
    return not inquiry.pending and now >= again_at


def begin(inquiry: Inquiry, witnesses: Sequence[str], now: float, *, check: bool) -> Inquiry:
    """
    Ask these witnesses, and the site's own command where there is one.

    Who reached the host a short while ago is not outvoted by one who cannot be asked.
    """
    return Inquiry(
        number=inquiry.number + 1,
        asked_at=now,
        asked=frozenset(witnesses),
        waiting=frozenset(witnesses),
        checking=check,
        words={name: inquiry.words[name] for name in seen_by(inquiry, now)},
        check=inquiry.check if check else None,
    )


def in_place(inquiry: Inquiry, witness: str) -> Inquiry:
    """Ask one more in the place of one that could not be asked."""
    one = {witness}
    return replace(inquiry, asked=inquiry.asked | one, waiting=inquiry.waiting | one)


def heard(inquiry: Inquiry, question: int, witness: str, word: Word) -> Inquiry:
    """Take in what a witness said; an answer to an older question proves nothing."""
    if question != inquiry.number or witness not in inquiry.waiting:
        return inquiry
    words = dict(inquiry.words)
    if word.opinion is not Opinion.NONE:  # who cannot be asked takes nothing back
        words[witness] = word
    left = inquiry.waiting - {witness}
    return replace(inquiry, waiting=left, words=words, answered_at=word.at)


def checked(inquiry: Inquiry, question: int, word: Word) -> Inquiry:
    """Take in what the site's own command said."""
    if question != inquiry.number or not inquiry.checking:
        return inquiry
    return replace(inquiry, checking=False, check=word, answered_at=word.at)


def stale(inquiry: Inquiry, now: float) -> bool:
    """Whether what was said is too old to act upon, or has not all been said."""
    good_until = max(inquiry.asked_at + GOOD_FOR_S, inquiry.answered_at + SETTLED_FOR_S)
    alive = sum(word.opinion is Opinion.ALIVE for word in inquiry.words.values())
    faded = alive > len(seen_by(inquiry, now))  # it reached the host, and has to be asked again
    return inquiry.pending or now > good_until or faded


def seen_by(inquiry: Inquiry, now: float) -> list[str]:
    """Return who reached the host a short while ago, and said nothing else since."""
    return sorted(
        name
        for name, word in inquiry.words.items()
        if word.opinion is Opinion.ALIVE and now <= word.at + GOOD_FOR_S
    )


def verdicts(inquiry: Inquiry, check: AliveCheck | None, now: float) -> Iterator[Verdict]:
    """Return the holds that follow from what was said."""
    seen = seen_by(inquiry, now)
    if seen:
        reason = f"reached by {', '.join(seen)}: we are cut off from it"
        yield Verdict(HoldName.SEEN_BY_OTHERS, reason)
    word = inquiry.check
    if check is None or word is None:
        return
    if word.opinion is Opinion.ALIVE:
        yield Verdict(HoldName.ALIVE_CHECK, f"the alive check knows it alive: {word.reason}")
    elif word.opinion is Opinion.NONE and check.hold_on_error:
        yield Verdict(HoldName.ALIVE_CHECK, f"the alive check gave no answer: {word.reason}")
