"""A host in the making: fills placeholders, reads secrets, and collects what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from pmwatchd.config.faults import Findings, WrongError, nearest
from pmwatchd.config.secrets import NotForThisUserError, Secrets, UnreadableError
from pmwatchd.config.tree import Leaf, Origin, Tree, leaf
from pmwatchd.config.values import SecretRef, check_address, check_words, is_address
from pmwatchd.core import proxies
from pmwatchd.core.model import ProxySource
from pmwatchd.errors import Fault

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SOURCES = frozenset(str(source) for source in ProxySource if source is not ProxySource.NAMED)


def same(text: str) -> str:
    """Take a text as it is."""
    return text


@dataclass(slots=True)
class Draft:
    """
    What is collected while one host is built.

    Attributes:
        words: What placeholders stand for, e.g. ``{"name": "node8", "label:rack": "r12"}``.
        names: Every name in the inventory; a proxy may be called by it.
        faulty: Something is wrong, and the host must not be watched.
    """

    name: str
    findings: Findings
    secrets: Secrets
    names: frozenset[str]
    words: dict[str, str] = field(default_factory=dict)
    faulty: bool = False

    def fault(self, origin: Origin, reason: str, remedy: str, *, secret: bool = False) -> None:
        """Keep a fault; it costs this host."""
        self.faulty = True
        key = origin.key.removeprefix(".")
        self.findings.fault(Fault(origin.file, key, reason, remedy, self.name, secret=secret))

    def fill(self, text: str) -> str:
        """Put in what the placeholders stand for, or raise WrongError for an unknown one."""

        def word(found: re.Match[str]) -> str:
            known = self.words.get(found[1])
            if known:
                return known
            raise WrongError(
                f"the placeholder {{{found[1]}}} stands for nothing here",
                nearest(found[1], [name for name, text in self.words.items() if text]),
            )

        return _PLACEHOLDER.sub(word, text)

    def text(
        self, tree: Tree, key: str, default: str = "", *, check: Callable[[str], str] = same
    ) -> str:
        """Return the text at *key*, filled and checked; a fault gives the default."""
        found = leaf(tree, key)
        return default if found is None else self.filled(found, default, check)

    def filled(self, found: Leaf, default: str, check: Callable[[str], str] = same) -> str:
        """Fill and check one text; a fault gives the default."""
        try:
            return check(self.fill(found.value))
        except WrongError as wrong:
            self.fault(found.origin, wrong.reason, wrong.remedy)
            return default

    def value(self, tree: Tree, key: str, default: T) -> T:
        """Return a value that needs no filling."""
        found = leaf(tree, key)
        return default if found is None else found.value

    def secret(self, found: Leaf, ref: SecretRef) -> SecretStr:
        """Read a secret; one that cannot be read is a fault, or a note."""
        try:
            name = self.fill(ref.name)
            return self.secrets.get(ref, name, Path(found.layer.file).parent)
        except WrongError as wrong:
            unreadable = isinstance(wrong, UnreadableError)
            self.fault(found.origin, wrong.reason, wrong.remedy, secret=unreadable)
        except NotForThisUserError as error:
            origin = found.origin
            self.findings.note(f"{origin.file}: {origin.key}: not checked, {error}")
        return SecretStr("")

    def preferences(self, found: Leaf, *, implicit: bool) -> tuple[str, ...]:
        """Return complete proxy words; each names a source or a machine that can be known."""
        try:
            words = check_words(tuple(self.fill(word) for word in found.value))
            for word in words:
                self._known(word)
        except WrongError as wrong:
            self.fault(found.origin, wrong.reason, wrong.remedy)
            return ()
        return tuple(str(word) for word in proxies.complete(words, implicit=implicit))

    def _known(self, word: str) -> None:
        if word in _SOURCES or word in self.names:
            return
        if not is_address(word) and "." not in word:
            raise WrongError(
                f"{word!r} is no proxy word",
                f"{nearest(word, _SOURCES)} A machine is named as in the inventory, by its "
                "address, or by a name with a dot",
            )
        check_address(word)


def placeholders(name: str, cluster: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Say what the placeholders of a host stand for; its datacenter is added when known."""
    words = {"name": name, "cluster": cluster}
    words.update({f"label:{key}": text for key, text in labels.items()})
    return words
