"""What agents say, without the secrets that they echo."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

_MASK = "***"
_PLAIN_IN_URLS = "-._~"  # besides letters and digits (RFC 3986, unreserved characters)


def masked(text: str, secrets: Iterable[str]) -> str:
    """*text* with every secret in it replaced; agents echo options that they do not know."""
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    # The longest first: a short secret inside a long one would leave its ends readable.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _MASK)
    return text


def _spellings(secret: str) -> Iterator[str]:
    """How a secret may look: as it is, quoted by a program or a person, in JSON, in a URL."""
    yield secret
    yield repr(secret)[1:-1]  # as Python shows it in an error
    yield secret.replace("'", "\\'")
    yield secret.replace("'", "'\"'\"'")  # as Python quotes it for a shell
    yield secret.replace("'", "'\\''")  # as a shell is told by hand
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for plain in (_PLAIN_IN_URLS, _PLAIN_IN_URLS + "/"):
        for hexadecimal in ("%{:02X}", "%{:02x}"):
            in_url = _in_url(secret, plain, hexadecimal)
            yield in_url
            yield in_url.replace("%20", "+")  # as forms are sent


def _in_url(secret: str, plain: str, hexadecimal: str) -> str:
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in plain)
        else "".join(hexadecimal.format(byte) for byte in character.encode(errors="replace"))
        for character in secret
    )
