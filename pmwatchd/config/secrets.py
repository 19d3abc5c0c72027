"""Secrets: read from where they lie, never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from pmwatchd.config.faults import WrongError
from pmwatchd.config.values import Place, SecretRef
from pmwatchd.core.dialect import unsafe_value

_SIZE_MAX = 64 * 1024


class Reading(StrEnum):
    """How secrets are treated."""

    NEEDED = "needed"  # the daemon: one that cannot be read is a fault
    TRIED = "tried"  # `check`: one that only this user cannot read is a note
    LEFT = "left"  # `check --no-secrets`, `config`: none is read


class UnreadableError(WrongError):
    """A secret that is not where it should be, or cannot be read there."""


class NotForThisUserError(Exception):
    """A secret that the daemon may well be able to read, and this process is not."""


class Secrets:
    """Reads each secret once per run."""

    def __init__(self, reading: Reading, environ: Mapping[str, str] | None = None) -> None:
        self._reading = reading
        self._environ = os.environ if environ is None else environ
        self._read: dict[Path, str] = {}

    def get(self, ref: SecretRef, name: str, folder: Path) -> SecretStr:
        """
        Return a secret; *name* is its name with placeholders filled, *folder* the file's own.

        Raises:
            UnreadableError: It cannot be read.
            WrongError: It is empty, or agents would mangle it.
            NotForThisUserError: Only this user cannot read it.
        """
        if ref.place is Place.PLAIN and ref.plain is not None:
            secret = ref.plain.get_secret_value()
        elif self._reading is Reading.LEFT:
            return SecretStr("")
        else:
            secret = self._fetch(ref.place, name, folder)
            secret = secret.removesuffix("\n").removesuffix("\r")
            if not secret:
                raise WrongError("the secret is empty", f"Write it into {ref.place} {name!r}")
        if reason := unsafe_value(secret, secret=True):
            raise WrongError(f"the secret cannot be used: {reason}", "Choose another secret")
        return SecretStr(secret)

    def _fetch(self, place: Place, name: str, folder: Path) -> str:
        if place is Place.FILE:
            return self._file(folder / name)
        if place is Place.CREDENTIAL:
            found = credential_path(name, self._environ)
            if found is None:
                self._give_up("no credentials are here ($CREDENTIALS_DIRECTORY is not set)")
                raise UnreadableError(
                    f"credential {name!r} is not there: $CREDENTIALS_DIRECTORY is not set",
                    "Let systemd load it (LoadCredential) or use { file = ... }",
                )
            return self._file(found)
        value = self._environ.get(name)
        if value is None:
            raise UnreadableError(
                f"the environment has no {name!r}", "Set it or use { file = ... }"
            )
        return value

    def _file(self, file: Path) -> str:
        if file not in self._read:
            try:
                with file.open("rb") as opened:
                    raw = opened.read(_SIZE_MAX + 1)
                if len(raw) > _SIZE_MAX:
                    raise UnreadableError(
                        f"{file} is too large for a secret", "Name the right file"
                    )
                self._read[file] = raw.decode("utf-8")
            except PermissionError:
                self._give_up(f"{file} is not readable for this user")
                raise UnreadableError(
                    f"{file} is not readable for the daemon", "Let the daemon's user read it"
                ) from None
            except OSError as error:
                raise UnreadableError(
                    f"{file} cannot be read: {error.strerror}", "Create it or correct the path"
                ) from None
            except UnicodeDecodeError:
                raise UnreadableError(f"{file} is not UTF-8 text", "Save it as UTF-8") from None
        return self._read[file]

    def _give_up(self, reason: str) -> None:
        if self._reading is Reading.TRIED:
            raise NotForThisUserError(reason)


def credential_path(name: str, environ: Mapping[str, str] | None = None) -> Path | None:
    """
    Find a credential: ``pmwatchd_NAME``, then ``NAME`` in $CREDENTIALS_DIRECTORY.

    Returns the first that exists, else where it should be, or None without such a directory.
    """
    directory = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    candidates = [Path(directory) / f"pmwatchd_{name}", Path(directory) / name]
    # Path.exists raises for a name that is longer than names of files can be.
    return next((path for path in candidates if os.path.exists(path)), candidates[0])  # noqa: PTH110
