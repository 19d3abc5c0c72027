"""
What a fence agent says of itself: the XML that ``fence_X -o metadata`` prints.

It comes from a program, here or on a proxy, that may be anything; so whatever
could harm its reader is refused before it is read.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

SIZE_MAX = 1024 * 1024
"""Metadata that is longer, in bytes, is refused."""

_MARKS = (b"<!DOCTYPE", b"<!ENTITY")
_PORT = re.compile(r"[0-9]{1,5}")


class MetadataError(ValueError):
    """What an agent printed is no metadata; the sentence says why and shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """
    The options of one agent, in its own spelling.

    Attributes:
        parameters: Every option that it knows, old names included.
        required: Those that it cannot do without.
        ipport: The port that it uses when it is told none.
    """

    parameters: frozenset[str]
    required: frozenset[str] = frozenset()
    ipport: int | None = None


def parse(text: bytes) -> Metadata:
    """
    Read what ``fence_X -o metadata`` printed.

    Raises:
        MetadataError: It is too large, has a DOCTYPE or an entity, or is no metadata.
    """
    if len(text) > SIZE_MAX:
        raise MetadataError("its metadata is larger than 1 MiB")
    upper = text.upper()
    if any(mark in upper for mark in _MARKS):
        raise MetadataError("its metadata holds a DOCTYPE or an entity")
    # Bytes that hide such a mark in another encoding than the declared UTF-8 are refused too.
    try:
        root = ET.fromstring(text.decode("utf-8"))  # noqa: S314 - no DOCTYPE, no entity, limited
    except (ET.ParseError, ValueError):
        raise MetadataError("its metadata is not XML") from None
    found = {name: item for item in root.iter("parameter") if (name := item.get("name"))}
    if root.tag != "resource-agent" or not found:
        raise MetadataError("its metadata names no options")
    return Metadata(
        parameters=frozenset(found),
        required=frozenset(name for name, item in found.items() if item.get("required") == "1"),
        ipport=_default_port(found.get("ipport")),
    )


def _default_port(parameter: ET.Element | None) -> int | None:
    content = None if parameter is None else parameter.find("content")
    default = "" if content is None else content.get("default", "")
    return int(default) if _PORT.fullmatch(default) else None
