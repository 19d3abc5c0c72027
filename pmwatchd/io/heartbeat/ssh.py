"""
The ``ssh`` probe: a server speaks first.

Any bytes are a sign of life, not only ``SSH-``: a server that is overloaded
or has had enough of us says so in a line of its own, and lives.
"""

from __future__ import annotations


class Banner:
    """Waits for the server's first words."""

    def opening(self) -> bytes:
        """Nothing: the banner comes unasked, also where nobody may log in."""
        return b""

    def heard(self, data: bytes) -> bytes | None:  # noqa: ARG002 - the Talk protocol gives it
        """Whatever it is, somebody said it."""
        return None
