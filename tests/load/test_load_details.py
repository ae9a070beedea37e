"""What pydantic finds wrong in files, in our words: each kind of error that a file of ours can have has some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import PydanticCustomError, core_schema

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.ledger import EVENT
from gpuprov.core.programme import Programme
from gpuprov.i18n import Message, tr
from gpuprov.load.details import _FORMS, _WORDS, Detail, details


def found(model: type[BaseModel] | TypeAdapter[Any], data: object, document: str = "see the page") -> list[Detail]:
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(data)
    return list(details(caught.value, document))


class Settings(BaseModel, extra="forbid"):
    name: str
    number: int = 1

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "raised":
            raise ValueError(tr("{name} is raised", name=name))
        if name == "custom":
            context = {"message": tr("{name} is custom", name=name), "remedy": tr("mend it")}
            raise PydanticCustomError("custom", "{message}", context)
        return name


def test_each_error_has_its_place_its_value_and_what_to_do() -> None:
    assert found(Settings, {"nom": "x", "number": "eight"}) == [
        Detail(kind="missing", place=("name",), value=None, message="is missing", remedy="add it; see the page"),
        Detail(
            kind="int_parsing",
            place=("number",),
            value="eight",
            message="is not a whole number",
            remedy="write digits alone, such as 8, without quotation marks",
        ),
        Detail(
            kind="extra_forbidden",
            place=("nom",),
            value="x",
            message="is not known here",
            remedy="correct its name, or remove it; see the page",
        ),
    ]


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [("raised", "raised is raised", "see the page"), ("custom", "custom is custom", "mend it")],
)
def test_what_a_validator_says_can_still_be_translated(name: str, message: str, remedy: str) -> None:
    (detail,) = found(Settings, {"name": name})
    assert (detail.message, detail.remedy) == (message, remedy)
    assert isinstance(detail.message, Message)


@pytest.mark.parametrize(
    ("value", "shown"), [("x" * 100, "x" * 80 + "…"), ([], "[]"), ([1], None), ({"a": 1}, None), (None, None)]
)
def test_values_are_shown_where_they_fit_in_a_line(value: object, shown: str | None) -> None:
    (detail,) = found(Settings, {"name": "a", "number": value})
    assert detail.value == shown


def test_a_kind_without_words_has_pydantics_own() -> None:
    (detail,) = found(TypeAdapter(complex), "x")
    assert detail.message.startswith("Input should be")
    assert detail.remedy == "see the page"


@pytest.mark.parametrize(
    ("model", "data", "message", "remedy"),
    [
        (TypeAdapter(date), 20260131, "is not a day", "write it as '2026-01-31'"),
        (TypeAdapter(date), "2026-01-31T10:00", "has a time of day", "write the day alone"),
        (TypeAdapter(str), ["a"], "is not a text", "write one text"),
        (TypeAdapter(str), 7, "is not a text", "put it in quotes"),
        (TypeAdapter(Annotated[int, Field(le=64)]), 65, "is more than 64", "write 64 or less"),
        (TypeAdapter(Annotated[date, Field(le=date(2199, 12, 31))]), "2999-01-01", "is after 2199-12-31", "write an"),
        (TypeAdapter(Annotated[list[int], Field(max_length=1)]), [1, 2], "has more than 1 entry", "remove the others"),
    ],
)
def test_remedies_fit_what_stands_there(model: TypeAdapter[Any], data: object, message: str, remedy: str) -> None:
    (detail,) = found(model, data)
    assert detail.message == message
    assert detail.remedy.startswith(remedy)


def test_a_form_is_told_in_words() -> None:
    (detail,) = found(EVENT, {"event": "accepted", "award": "a b", "at": AT, "by": "k", "reason": "r", "recorded": AT})
    assert (detail.message, detail.remedy.partition(":")[0]) == (
        "cannot be an award id",
        "use at most 100 characters, no spaces and none of ",
    )


AT = "2026-03-15T10:00+09:00"


def test_the_words_are_of_kinds_that_pydantic_knows() -> None:
    assert _WORDS.keys() <= {*get_args(core_schema.ErrorType)}


def schemas(schema: object) -> Iterable[Mapping[str, Any]]:
    """Yield every part of a core schema of pydantic."""
    if isinstance(schema, Mapping):
        yield schema
        for part in schema.values():
            yield from schemas(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from schemas(part)


KINDS = {
    "model": "model_type",
    "tuple": "tuple_type",
    "dict": "dict_type",
    "int": "int_type",
    "str": "string_type",
    "bool": "bool_type",
    "date": "date_type",
    "datetime": "datetime_type",
    "tagged-union": "union_tag_invalid",
}
RULES = {
    ("int", "ge"): "greater_than_equal",
    ("int", "le"): "less_than_equal",
    ("date", "le"): "less_than_equal",
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("str", "pattern"): "string_pattern_mismatch",
    ("tuple", "min_length"): "too_short",
    ("dict", "min_length"): "too_short",
    ("dict", "max_length"): "too_long",
    ("datetime", "tz_constraint"): "timezone_aware",
}
"""The kind of error of each rule that a value can break."""

BOUNDS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "tz_constraint")


@pytest.mark.parametrize("model", [ProviderCluster, Programme, EVENT], ids=["stack", "programme", "ledger"])
def test_whatever_the_files_can_break_has_words(model: type[BaseModel] | TypeAdapter[Any]) -> None:
    core = model.core_schema if isinstance(model, TypeAdapter) else model.__pydantic_core_schema__
    parts = [part for part in schemas(core) if isinstance(part.get("type"), str)]
    kinds = {KINDS[part["type"]] for part in parts if part["type"] in KINDS}
    rules = {RULES[part["type"], bound] for part in parts for bound in BOUNDS if bound in part}
    assert {"string_pattern_mismatch", "greater_than_equal"} <= rules
    assert kinds | rules <= _WORDS.keys()
    assert {part["pattern"] for part in parts if part["type"] == "str" and "pattern" in part} <= _FORMS.keys()
