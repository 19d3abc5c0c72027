"""Values that main file and inventory share: texts, proxy words, probes, places of secrets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from pmwatchd.config.faults import WrongError, nearest
from pmwatchd.core import proxies
from pmwatchd.core.dialect import canonical_option
from pmwatchd.core.model import Probe, ProbeType

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_TITLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._-]{0,252}")
_ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9:._%-]{0,252}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SYMBOL = re.compile(r"[A-Za-z0-9_.-]+")
_CONFIDENTIAL = re.compile(r"passw|passphrase|secret|token|community|(?:key|kg|_pass|_pin)$")
_SWITCHED = ("0", "1")


class Section(BaseModel):
    """A table in which every key is known."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class Place(StrEnum):
    """Where a secret lies."""

    PLAIN = "plain"
    FILE = "file"
    CREDENTIAL = "credential"
    ENV = "env"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret that has not been read yet: a place and a name there, or the secret itself."""

    place: Place
    name: str = ""
    plain: SecretStr | None = None

    def __str__(self) -> str:
        return "********" if self.place is Place.PLAIN else f'{{ {self.place} = "{self.name}" }}'


def _text(value: object) -> str:
    """A text, or a number that stands for one, as in ``plug = 8``."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise WrongError("is not a text", "Write it in quotes")
    text = str(value)
    if _CONTROL.search(text):
        raise WrongError("holds a line break or another control character", "Remove it")
    return text


def _full(value: object) -> str:
    text = _text(value).strip()
    if not text:
        raise WrongError("is empty", "Give a value or remove the key")
    return text


def check_name(text: str) -> str:
    """Return a name of a host or an agent, or raise WrongError."""
    if not _NAME.fullmatch(text):
        raise WrongError(
            "is not a name that can be used",
            "Use letters, digits, dot, underscore and dash, with a letter or digit first",
        )
    return text


def check_title(text: str) -> str:
    """Return a name of a cluster or datacenter, or raise WrongError."""
    if not _TITLE.fullmatch(text):
        raise WrongError(
            "is not a name that can be used",
            "Use letters, digits, blank, dot, underscore and dash, with a letter or digit first",
        )
    return text


def check_address(text: str) -> str:
    """Return a name or IP address of a machine, without brackets, or raise WrongError."""
    bare = text.strip().removeprefix("[").removesuffix("]")
    if not _ADDRESS.fullmatch(bare):
        raise WrongError("is not an address", "Give an IP address or a host name, without blanks")
    if set(bare) <= set("0123456789.") or ":" in bare:
        try:
            ipaddress.ip_address(bare.split("%")[0])
        except ValueError:
            raise WrongError("is not an IP address", "Correct it") from None
    try:
        bare.encode("idna")
    except UnicodeError:
        raise WrongError("is not a name that can be looked up", "Correct it") from None
    return bare


def is_address(word: str) -> bool:
    """Whether a word is an IP address."""
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def check_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return proxy words as they are compared, or raise WrongError for a duplicate."""
    normal = tuple(str(proxies.normalize(word)) for word in words)
    for word in normal:
        if not word:
            raise WrongError("holds an empty proxy word", "Remove it")
        if normal.count(word) > 1:
            raise WrongError(f"names the proxy {word!r} twice", "Remove one of them")
    return normal


def _words(value: object) -> tuple[str, ...]:
    """Proxy words as a list, or as oVirt writes them: in one text, with commas."""
    if isinstance(value, str):
        value = [word for word in value.split(",") if word.strip()]
    if not isinstance(value, (list, tuple)):
        raise WrongError("is not a list of proxy words", 'Write for example ["cluster", "dc"]')
    return check_words(tuple(_text(word) for word in value))


def reference(value: Mapping[str, object]) -> SecretRef:
    """Read ``{ file = ... }`` and its like, or raise WrongError."""
    places = [place for place in Place if place is not Place.PLAIN]
    if len(value) != 1:
        raise WrongError(
            "must name one place of a secret",
            "Write one of { file = ... }, { credential = ... }, { env = ... }",
        )
    [(key, name)] = value.items()
    if key not in places:
        raise WrongError(f"{key!r} is no place of a secret", nearest(key, places))
    return SecretRef(Place(key), _full(name))


def _secret(value: object) -> SecretRef:
    if isinstance(value, Mapping):
        return reference(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise WrongError(
            "is no secret", "Write { file = ... }, { credential = ... } or { env = ... }"
        )
    return SecretRef(Place.PLAIN, plain=SecretStr(str(value)))


def _option(value: object) -> str | SecretRef:
    """The value of an agent's option; agents read ``1`` and ``0`` for true and false."""
    if isinstance(value, Mapping):
        return reference(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    if not isinstance(value, (str, int, float)):
        raise WrongError("is no value of an option", "Write a text, a number, true or false")
    return str(value)


def _options(value: object) -> object:
    """Options as a table, or as oVirt writes them: ``"k=v,k2=v2"``."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        key, equals, text = pair.partition("=")
        if not _SYMBOL.fullmatch(key.strip()):
            raise WrongError("is not written as options", 'Write "key=value,key2=value2"')
        if key.strip() in pairs:
            raise WrongError(f"names the option {key.strip()!r} twice", "Remove one of them")
        # As fence agents and oVirt read it: an option without a value is switched on.
        pairs[key.strip()] = text.strip() if equals else "1"
    return pairs


def _hidden(options: dict[str, Any]) -> dict[str, Any]:
    """Treat as a secret whatever an option's name says is one, though it is written plainly."""
    return {
        name: SecretRef(Place.PLAIN, plain=SecretStr(value))
        if isinstance(value, str) and value not in _SWITCHED and _is_confidential(name)
        else value
        for name, value in options.items()
    }


def _is_confidential(name: str) -> bool:
    return _CONFIDENTIAL.search(canonical_option(name).lower()) is not None


def check_command(value: object) -> tuple[str, ...]:
    """Return the words of a command, none for none, or raise WrongError."""
    if not isinstance(value, (list, tuple)):
        raise WrongError(
            "is not a list of words", 'Write for example ["/usr/local/bin/check", "{name}"]'
        )
    words = tuple(_text(word) for word in value)
    if words and not words[0].strip():
        raise WrongError("begins with an empty word", "Name the program first")
    return words


def no_flag(value: object) -> object:
    """Refuse true and false for a number: they would be read as 1 and 0."""
    if isinstance(value, bool):
        raise WrongError("is not a whole number", "Write it as a number")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Full = Annotated[str, BeforeValidator(_full)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Secret = Annotated[SecretRef, BeforeValidator(_secret)]
Options = Annotated[
    dict[str, Annotated[Any, BeforeValidator(_option)]],
    BeforeValidator(_options),
    AfterValidator(_hidden),
]
Count = Annotated[int, Field(ge=1, le=1000), BeforeValidator(no_flag)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
EnvPort = Annotated[int, Field(ge=1, le=65535), BeforeValidator(no_flag)]
Flag = Annotated[bool, Field(strict=True)]


class ProbeModel(Section):
    """One way to ask a host for a sign of life."""

    type: Literal["tcp", "icmp", "ssh", "http"]
    address: Full | None = None
    port: Port | None = None
    path: Text | None = None
    tls: Flag | None = None

    @model_validator(mode="after")
    def _only_what_its_type_knows(self) -> Self:
        if self.type == "tcp" and self.port is None:
            raise WrongError("has no port", "Add port = 22, or another that the host listens on")
        if self.type == "icmp" and self.port is not None:
            raise WrongError("an icmp probe has no port", "Remove port")
        if self.type != "http" and (self.path is not None or self.tls is not None):
            raise WrongError("only an http probe has path and tls", "Remove them")
        if self.path is not None and not re.fullmatch(r"/[!-~]*", self.path):
            raise WrongError("path must begin with / and hold no blanks", "Correct path")
        return self


_PORTS = {"ssh": 22, "http": 80}
_TLS_PORT = 443


def probe_of(model: ProbeModel, address: str) -> Probe:
    """Make the probe of the core, with the port that its type usually has."""
    tls = bool(model.tls)
    default = _TLS_PORT if tls else _PORTS.get(model.type)
    return Probe(
        type=ProbeType(model.type),
        address=address,
        port=model.port or default,
        path=model.path or "/",
        tls=tls,
    )
