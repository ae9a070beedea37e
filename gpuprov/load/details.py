"""What pydantic finds wrong in a file of ours, in our words, without what only follows from something else.

A message that a validator of ours made is kept: as the argument of its ValueError, or under ``message`` in the context
of its PydanticCustomError, beside a ``remedy`` if it has one. For a kind of error that has no words here, pydantic's
own text counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gpuprov.core.accelerator import AcceleratorName, Name, Resource, Word
from gpuprov.core.award import AwardId
from gpuprov.core.cluster import ProviderName
from gpuprov.i18n import joined, tr, trn

_MOST_SHOWN = 80

_WRITE_DAY = tr("write it as '2026-01-31'")
_WRITE_INSTANT = tr("write it as '2026-03-15T10:00+09:00'")

_KEYS = ("missing", "extra_forbidden")
"""Kinds of errors where the page says which names there are."""

Words = tuple[str, str | None]
"""What is wrong, and what to do about it; None where only the file's page of the documents says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One thing that is wrong in a file: the keys that lead to it, what stands there, what is wrong, what to do.

    ``value`` is None where nothing stands there, or something of many lines.
    """

    kind: str
    place: tuple[int | str, ...]
    value: str | None
    message: str
    remedy: str


def details(error: ValidationError, document: str) -> Iterator[Detail]:
    """Yield what is wrong. ``document`` says which page to look at: the remedy where there is no better one.

    Of a list whose elements are wrong pydantic says too that it is too short: that is left out.
    """
    found = error.errors()
    places = [detail["loc"] for detail in found]
    for detail in found:
        if not _follows(detail["loc"], places):
            message, remedy = _explained(detail)
            if remedy and document and detail["type"] in _KEYS:
                remedy = joined("; ", [remedy, document])
            yield Detail(
                kind=detail["type"],
                place=detail["loc"],
                value=_value(detail),
                message=message,
                remedy=remedy or document,
            )


def _follows(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    """Tell whether something in the same list or mapping is wrong."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _value(detail: ErrorDetails) -> str | None:
    value = detail["input"]
    if value is None or detail["type"] in ("missing", "json_invalid"):
        return None
    if isinstance(value, (Mapping, list, tuple)) and value:
        return None
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"


def _explained(detail: ErrorDetails) -> Words:
    context: Mapping[str, Any] = detail.get("ctx", {})
    own = context.get("message")
    if isinstance(own, str):
        remedy = context.get("remedy")
        return own, remedy if isinstance(remedy, str) else None
    raised = context.get("error")
    if isinstance(raised, ValueError) and raised.args:
        return raised.args[0], None
    if detail["type"] == "string_type" and isinstance(detail["input"], (Mapping, list)):
        return tr("is not a text"), tr("write one text")
    if detail["type"] == "date_from_datetime_inexact" and isinstance(detail["input"], (int, float)):
        return _NO_DAY(context)  # a number, such as 20260131, is seconds since 1970 to pydantic
    words = _WORDS.get(detail["type"])
    return (detail["msg"], None) if words is None else words(context)


def _same(message: str, remedy: str | None = None) -> Callable[[Mapping[str, Any]], Words]:
    return lambda _: (message, remedy)


def _too_short(context: Mapping[str, Any]) -> Words:
    least = context["min_length"]
    if least == 1:
        return tr("is empty"), tr("fill it in")
    return tr("is shorter than {number} characters", number=least), tr(
        "write {number} characters or more", number=least
    )


def _too_long(context: Mapping[str, Any]) -> Words:
    most = context["max_length"]
    return trn("has more than {number} entry", "has more than {number} entries", most), tr("remove the others")


def _long_text(context: Mapping[str, Any]) -> Words:
    return tr("is longer than {most} characters", most=context["max_length"]), tr("shorten it")


def _too_small(context: Mapping[str, Any]) -> Words:
    return tr("is less than {least}", least=context["ge"]), tr("write {least} or more", least=context["ge"])


def _too_great(context: Mapping[str, Any]) -> Words:
    most = context["le"]
    if not isinstance(most, int):  # pydantic writes a day as text
        return tr("is after {day}", day=most), tr("write an earlier day")
    return tr("is more than {most}", most=most), tr("write {most} or less", most=most)


def _pattern(name: Any) -> str:  # noqa: ANN401 (an annotated type)
    return str(name.__metadata__[0].pattern)


_FORMS = {
    _pattern(ProviderName): (
        tr("is not a supplier's name"),
        tr("write small letters, digits and hyphens, 42 at most"),
    ),
    _pattern(Resource): (tr("is not a resource name"), tr("write it as nvidia.com/gpu")),
    _pattern(AcceleratorName): (
        tr("is not an accelerator's name"),
        tr("write letters, digits and any of . _ -, 62 at most"),
    ),
    _pattern(Name): (tr("has a space or a line break before or after it"), tr("remove it")),
    _pattern(Word): (tr("is empty"), tr("fill it in")),
    _pattern(AwardId): (
        tr("cannot be an award id"),
        tr("use at most 100 characters, no spaces and none of {signs}", signs=": * , \" ' \\"),
    ),
}


def _wrong_form(context: Mapping[str, Any]) -> Words:
    return _FORMS.get(context["pattern"], (tr("does not match {pattern}", pattern=context["pattern"]), None))


def _bad_json(context: Mapping[str, Any]) -> Words:
    character = re.search(r"column ([0-9]+)", str(context["error"]))
    if character is None:
        return tr("is not valid JSON"), None
    return tr("is not valid JSON at character {character}", character=character[1]), None


def _unknown_kind(context: Mapping[str, Any]) -> Words:
    expected = str(context["expected_tags"]).replace("'", "")
    message = tr("{name} {value!r} is not known", name=str(context["discriminator"]).strip("'"), value=context["tag"])
    return message, tr("write one of {names}", names=expected)


def _none_of(context: Mapping[str, Any]) -> Words:
    return tr("is not known"), tr("write one of {names}", names=context["expected"])


_NO_DAY = _same(tr("is not a day"), _WRITE_DAY)
_NO_INSTANT = _same(tr("is not a timestamp"), _WRITE_INSTANT)
_NO_NUMBER = _same(tr("is not a whole number"), tr("write digits alone, such as 8, without quotation marks"))
_NO_MAPPING = _same(tr("is not a mapping"), tr("write `key: value` lines"))
_NO_LIST = _same(tr("is not a list"), tr("write a list, such as [a, b]"))

_WORDS: dict[str, Callable[[Mapping[str, Any]], Words]] = {
    "missing": _same(tr("is missing"), tr("add it")),
    "extra_forbidden": _same(tr("is not known here"), tr("correct its name, or remove it")),
    "string_type": _same(tr("is not a text"), tr("put it in quotes")),
    "string_too_short": _too_short,
    "string_too_long": _long_text,
    "string_pattern_mismatch": _wrong_form,
    "int_type": _NO_NUMBER,
    "int_parsing": _NO_NUMBER,
    "int_from_float": _NO_NUMBER,
    "bool_type": _same(tr("is neither true nor false"), tr("write true or false")),
    "bool_parsing": _same(tr("is neither true nor false"), tr("write true or false")),
    "greater_than_equal": _too_small,
    "less_than_equal": _too_great,
    "too_short": _too_short,
    "too_long": _too_long,
    "dict_type": _NO_MAPPING,
    "model_type": _NO_MAPPING,
    "model_attributes_type": _NO_MAPPING,
    "tuple_type": _NO_LIST,
    "list_type": _NO_LIST,
    "date_type": _NO_DAY,
    "date_parsing": _NO_DAY,
    "date_from_datetime_parsing": _NO_DAY,
    "date_from_datetime_inexact": _same(tr("has a time of day"), tr("write the day alone")),
    "datetime_type": _NO_INSTANT,
    "datetime_parsing": _NO_INSTANT,
    "datetime_object_invalid": _NO_INSTANT,
    "datetime_from_date_parsing": _NO_INSTANT,
    "timezone_aware": _same(tr("has no offset from UTC"), _WRITE_INSTANT),
    "literal_error": _none_of,
    "enum": _none_of,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _same(tr("does not say which event it is"), tr("write the line's `event`")),
    "json_invalid": _bad_json,
}
