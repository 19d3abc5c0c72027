"""
Faults of configuration and inventory: collected, never raised one by one.

pydantic's complaints are put into our words here, at the border: file, dotted
path of the key, what is wrong, what to do.  A value never appears in them,
because it may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pmwatchd.errors import Fault

Loc = tuple[int | str, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

_ROUNDS_MAX = 20
"""A value can hide another fault only so often; a limit on everything."""

_WORDS = {
    "int_type": ("is not a whole number", "Write it as a number, without quotes"),
    "int_parsing": ("is not a whole number", "Write it as a number"),
    "int_from_float": ("is not a whole number", "Write it as a number, without a fraction"),
    "bool_type": ("is neither true nor false", "Write true or false, without quotes"),
    "bool_parsing": ("is neither true nor false", "Write true or false"),
    "string_type": ("is not a text", "Write it in quotes"),
    "missing": ("is missing", "Add it"),
}


class WrongError(ValueError):
    """
    A value that cannot be used.

    Attributes:
        reason: What is wrong with it; never a secret's value.
        remedy: What to do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(reason)


@dataclass(slots=True)
class Findings:
    """Everything that was found in one run, each thing once, in the order of finding."""

    _faults: dict[tuple[str, str, str], Fault] = field(default_factory=dict)
    _warnings: dict[str, None] = field(default_factory=dict)
    _notes: dict[str, None] = field(default_factory=dict)

    def fault(self, fault: Fault) -> None:
        """Keep a fault; one that many hosts share is kept once and belongs to none of them."""
        key = (fault.file, fault.key, fault.reason)
        known = self._faults.get(key)
        if known is not None and known.host != fault.host:
            fault = replace(known, host=None)
        self._faults[key] = fault

    def warn(self, sentence: str) -> None:
        """Keep a sentence about something that works but should be changed."""
        self._warnings[sentence] = None

    def note(self, sentence: str) -> None:
        """Keep a sentence about something that could not be judged."""
        self._notes[sentence] = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults."""
        return tuple(self._faults.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings."""
        return tuple(self._warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes."""
        return tuple(self._notes)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong at one place of a document, before it is known in which file."""

    loc: Loc
    key: str
    reason: str
    remedy: str


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or list a few."""
    words = sorted(known)
    found = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    if found:
        return f"Did you mean {found[0]!r}?"
    if not words:
        return "Remove it"
    return f"Known are {', '.join(words)}"


def spell(loc: Sequence[int | str], data: object) -> str:
    """Write a place as a dotted path; an entry of a list goes by its name if it has one."""
    path = ""
    for part in loc:
        inner: object = None
        if isinstance(part, int):
            if isinstance(data, list) and part < len(data):
                inner = data[part]
            name = inner.get("name") if isinstance(inner, Mapping) else None
            path += f".{name}" if isinstance(name, str) else f"[{part}]"
        else:
            inner = data.get(part) if isinstance(data, Mapping) else None
            path += f".{part}"
        data = inner
    return path.removeprefix(".")


def complaints(error: ValidationError, model: type[BaseModel], data: object) -> list[Complaint]:
    """Put every complaint of pydantic into our words."""
    found = error.errors(include_input=False, include_url=False)
    # A list whose entries are wrong is called too short as well; that is no news.
    above = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
    return [_complaint(one, model, data) for one in found if one["loc"] not in above]


def salvage(model: type[ModelT], data: Mapping[str, Any]) -> tuple[ModelT, list[Complaint]]:
    """
    Validate *data*; what is wrong is taken out, so that the rest can be judged too.

    Returns the model of what is left, and every complaint.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        found = complaints(error, model, data)
    rest = deepcopy(dict(data))
    fresh = found
    for _ in range(_ROUNDS_MAX):
        prune(rest, [complaint.loc for complaint in fresh])
        try:
            return model.model_validate(rest), found
        except ValidationError as error:
            fresh = complaints(error, model, rest)
            found += news(fresh, found)
            if any(not complaint.loc for complaint in fresh):
                break
    return model.model_validate({}), found


def news(fresh: Iterable[Complaint], known: Iterable[Complaint]) -> list[Complaint]:
    """Leave out what is only wrong because something known was taken out below it."""
    told = {
        complaint.loc[:length] for complaint in known for length in range(len(complaint.loc) + 1)
    }
    return [complaint for complaint in fresh if complaint.loc not in told]


def prune(data: dict[str, Any], locs: Iterable[Loc]) -> None:
    """Take the values at *locs* out; of a value that is missing, what should hold it."""
    # From the back, so that the places of a list stay what they were: 10 before 9.
    for loc in sorted(set(locs), key=_place, reverse=True):
        _remove(data, loc)


def _place(loc: Loc) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (0, part) for part in loc]


def _remove(data: Any, loc: Loc) -> None:
    trail: list[tuple[Any, int | str]] = []
    for part in loc:
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if not inside:
            break
        trail.append((data, part))
        data = data[part]
    # A list that loses its last entry goes too: an empty one would be a fault of ours.
    for holder, held in reversed(trail):
        del holder[held]
        if holder or isinstance(holder, dict):
            break


def _complaint(details: ErrorDetails, model: type[BaseModel], data: object) -> Complaint:
    loc = details["loc"]
    kind = details["type"]
    context = details.get("ctx", {})
    reason, remedy = details["msg"], "Correct it"
    wrong = context.get("error")
    if isinstance(wrong, WrongError):
        reason, remedy = wrong.reason, wrong.remedy
    elif kind == "extra_forbidden":
        reason = "unknown key"
        remedy = nearest(str(loc[-1]), _keys_at(model, loc[:-1]))
    elif kind in _WORDS:
        reason, remedy = _WORDS[kind]
    elif kind in ("literal_error", "enum"):
        reason, remedy = "is not one of the known words", f"Use one of {context['expected']}"
    elif kind in ("greater_than_equal", "less_than_equal"):
        limit = context.get("ge", context.get("le"))
        bound = "at least" if "ge" in context else "at most"
        reason, remedy = f"must be {bound} {limit}", f"Give a number of {bound} {limit}"
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        reason, remedy = "is not a table", "Write it as a table: [name] or { key = value }"
    elif kind in ("list_type", "tuple_type"):
        reason, remedy = "is not a list", "Write it in square brackets"
    return Complaint(loc, spell(loc, data), reason, remedy)


def _keys_at(model: type[BaseModel], loc: Loc) -> Iterable[str]:
    """Name the keys that are known at a place; none where a table is free."""
    current: type[BaseModel] | None = model
    for part in loc:
        if current is None:
            return ()
        if isinstance(part, str):
            known = current.model_fields.get(part)
            current = _model_in(known.annotation) if known is not None else None
    return () if current is None else tuple(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside of an annotation such as ``tuple[Probe, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
