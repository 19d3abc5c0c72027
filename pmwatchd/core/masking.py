"""What agents say, without the secrets that they echo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

_MASK = "***"
_ESCAPED = re.compile("%[0-9A-F]{2}")


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
    for plain in ("", "/"):  # besides letters, digits and "-._~" (RFC 3986, unreserved characters)
        in_url = quote(secret, safe=plain, errors="replace")
        for spelling in (in_url, _ESCAPED.sub(lambda found: found[0].lower(), in_url)):
            yield spelling
            yield spelling.replace("%20", "+")  # as forms are sent
