"""
Where the main file's values come from: the file, ``conf.d``, the environment.

The later one wins, table by table.  Each source remembers its name, so that a
fault and ``pmwatchd config`` can say where a value was written.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, InitSettingsSource

from pmwatchd.config.faults import Complaint, Findings, Loc, complaints, nearest, news, prune
from pmwatchd.config.settings import Settings
from pmwatchd.config.values import SecretRef
from pmwatchd.errors import Fault

PREFIX = "PMWATCHD_"
ENVIRONMENT = "environment"
_OF_THE_CLIENT = frozenset({"URL", "TOKEN_FILE", "CA_FILE"})
_ROUNDS_MAX = 20
_DEPTH_MAX = 32
"""Deeper tables would only exhaust the stack of whoever walks through them."""
_DIGITS = re.compile(r"\d[\d_]*")
_KEY = re.compile(r"([A-Za-z0-9_.-]+)[\"']?\s*=")
_SYNTAX = re.compile(r"(.*) \(at (line \d+|end of document)(?:, column \d+)?\)")


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or the environment, with what it says."""

    file: str
    shown: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The main file after all merging, and where each value came from (dotted key)."""

    settings: Settings
    sources: tuple[Source, ...]

    def origin(self, key: str) -> tuple[str, str]:
        """Where a dotted key was last written: the file, and how to show it."""
        path = tuple(key.split("."))
        for source in reversed(self.sources):
            if _holds(source.data, path):
                if source.file == ENVIRONMENT:
                    return source.file, f"{ENVIRONMENT} {PREFIX}{'__'.join(path).upper()}"
                return source.file, source.shown
        return "default", "default"


class _Environment(EnvSettingsSource):
    """The environment; what is not JSON is taken as it stands, so ``cluster,dc`` is a list too."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return value


def read_toml(file: Path, findings: Findings) -> dict[str, Any] | None:
    """Read a TOML file; one that cannot be read becomes a fault, and None."""
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8"))
        if not _too_deep(data):
            return data
        findings.fault(_nested(str(file), "file"))
    except RecursionError:
        findings.fault(_nested(str(file), "file"))
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.fullmatch(str(error))
        reason, where = (found[1], found[2]) if found else (str(error), "file")
        findings.fault(Fault(str(file), where, f"is not TOML: {reason}", "Correct the syntax"))
    except UnicodeDecodeError:
        findings.fault(Fault(str(file), "file", "is not UTF-8 text", "Save it as UTF-8"))
    except ValueError:  # Python reads no longer number, and does not say where it stands
        reason = "holds a whole number of thousands of digits"
        findings.fault(Fault(str(file), _longest_number(file), reason, "Correct the number"))
    except OSError as error:
        findings.fault(
            Fault(
                str(file),
                "file",
                f"cannot be read: {error.strerror}",
                "Create it, or let the daemon's user read it",
            )
        )
    return None


def _longest_number(file: Path) -> str:
    """Name the line, and the key where it stands before it, of the longest row of digits."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    longest = max(lines, key=lambda line: max(map(len, _DIGITS.findall(line)), default=0))
    before = longest.partition(max(_DIGITS.findall(longest), key=len))[0]
    keys = _KEY.findall(before)
    return f"line {lines.index(longest) + 1}{f' ({keys[-1]})' if keys else ''}"


def _too_deep(data: Mapping[str, Any]) -> bool:
    """Whether tables and lists lie so deep in each other that nobody wrote them by hand."""
    level: list[Any] = [data]
    for _ in range(_DEPTH_MAX):
        inner = [value for outer in level for value in _inside(outer)]
        level = [value for value in inner if isinstance(value, (dict, list))]
    return bool(level)


def _inside(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


def _nested(file: str, key: str) -> Fault:
    reason = "tables or lists are nested too deeply"
    return Fault(file, key, reason, f"Keep to {_DEPTH_MAX} levels")


def load_settings(
    file: Path, findings: Findings, environ: Mapping[str, str] | None = None
) -> Loaded:
    """
    Merge main file, ``conf.d`` and environment.

    Faults are kept in *findings*; a faulty value is replaced by its default,
    so that what depends on it can be judged too.
    """
    sources = [*_files(file, findings), _environment(environ, findings)]
    # Judged on copies: where each value was written stays known.
    data = [deepcopy(source.data) for source in sources]
    settings, found = _salvage(data)
    loaded = Loaded(_anchored(settings, file.parent), tuple(sources))
    for complaint in found:
        blamed = _blamed(loaded, complaint.loc) or str(file)
        findings.fault(Fault(blamed, complaint.key, complaint.reason, complaint.remedy))
    return loaded


def _files(file: Path, findings: Findings) -> Iterator[Source]:
    yield Source(str(file), file.name, read_toml(file, findings) or {})
    for extra in _extras(file.parent / "conf.d", findings):
        yield Source(str(extra), f"conf.d/{extra.name}", read_toml(extra, findings) or {})


def toml_files(folder: Path) -> list[Path]:
    """List ``*.toml`` as a shell does: an editor's lock, ``.#site.toml``, is none of them."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix == ".toml" and not path.name.startswith(".")
    )


def _extras(folder: Path, findings: Findings) -> list[Path]:
    """List what is read after the main file; one that cannot be listed is not simply empty."""
    try:
        return toml_files(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = f"the folder cannot be read: {error.strerror}"
        remedy = "Let the daemon's user read it: without it other rules would apply"
        findings.fault(Fault(str(folder), "", reason, remedy))
        return []


def _environment(environ: Mapping[str, str] | None, findings: Findings) -> Source:
    variables = dict(os.environ if environ is None else environ)
    source = _Environment(Settings)
    source.env_vars = {name.lower(): value for name, value in variables.items()}
    data: dict[str, Any] = source()
    if _too_deep(data):
        findings.fault(_nested(ENVIRONMENT, PREFIX))
        data = {}
    for name in sorted(variables):
        word = name.removeprefix(PREFIX)
        if word == name or word in _OF_THE_CLIENT:
            continue
        section, _, rest = word.lower().partition("__")
        if section in Settings.model_fields:
            continue
        if rest:
            remedy = nearest(section, Settings.model_fields)
            findings.fault(
                Fault(ENVIRONMENT, f"{section}.{rest.replace('__', '.')}", "unknown key", remedy)
            )
        else:
            findings.warn(
                f"{ENVIRONMENT}: {name} means nothing here; "
                "section and key are joined by two underscores"
            )
    return Source(ENVIRONMENT, ENVIRONMENT, data)


def _salvage(data: list[dict[str, Any]]) -> tuple[Settings, list[Complaint]]:
    """Validate the merged sources; what is wrong is taken out until the rest is right."""
    found: list[Complaint] = []
    for _ in range(_ROUNDS_MAX):
        inputs = [InitSettingsSource(Settings, init_kwargs=one) for one in reversed(data)]
        given: dict[str, Any] = {"_build_sources": (tuple(inputs), {})}
        try:
            return Settings(**given), found
        except ValidationError as error:
            fresh = complaints(error, Settings, {})
        found += news(fresh, found)
        for complaint in fresh:
            for one in data:
                prune(one, [complaint.loc])
    return Settings(), found


def _blamed(loaded: Loaded, loc: Loc) -> str | None:
    """The last source that wrote the value at *loc*, or the nearest table around it."""
    path = tuple(part for part in loc if isinstance(part, str))
    while path:
        for source in reversed(loaded.sources):
            if _holds(source.data, path):
                return source.file
        path = path[:-1]
    return None


def _holds(data: object, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(data, Mapping) or part not in data:
            return False
        data = data[part]
    return True


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make relative paths relative to the main file's folder."""
    ssh = settings.ssh
    changed: dict[str, object] = {"known_hosts": folder / ssh.known_hosts}
    if not isinstance(ssh.private_key, SecretRef):
        changed["private_key"] = folder / ssh.private_key
    return settings.model_copy(
        update={
            "inventory": folder / settings.inventory,
            "state_dir": folder / settings.state_dir,
            "ssh": ssh.model_copy(update=changed),
            "api": settings.api.model_copy(update={"socket": folder / settings.api.socket}),
        }
    )
