"""What `pulumi up` by hand says where the program refuses: in the language in use, without a traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pulumi
import pytest

from gpuprov import i18n
from gpuprov.engine.program import explained
from gpuprov.errors import EngineError, GpuprovError, InputError, PlanRefused, Problem
from gpuprov.i18n import tr


@pytest.fixture
def _korean() -> Iterator[None]:
    i18n.use("ko")
    yield
    i18n.use("en")


def told(error: GpuprovError) -> str:
    async def refuse(preview: bool) -> None:
        raise error

    with pytest.raises(pulumi.RunError) as caught:
        asyncio.run(explained(refuse)())
    return str(caught.value)


ERRORS: dict[GpuprovError, str] = {
    PlanRefused([tr("torn down"), "b"]): "refused, nothing was changed:\n  - torn down\n  - b",
    InputError([Problem(file="a.csv", message=tr("is empty"), remedy=tr("fill it in"))]): (
        "nothing was changed:\na.csv is empty; fill it in"
    ),
    EngineError("the disk is full"): "the disk is full",
}


@pytest.mark.parametrize(("error", "text"), ERRORS.items(), ids=lambda value: type(value).__name__)
def test_errors_are_told_by_what_they_say(error: GpuprovError, text: str) -> None:
    assert told(error) == text


@pytest.mark.usefixtures("_korean")
def test_they_are_told_in_the_language_in_use() -> None:
    assert [told(error) for error in ERRORS] == [
        "거부했으며 변경한 것은 없습니다:\n  - 회수\n  - b",
        "변경한 것은 없습니다:\na.csv 비어 있습니다; 값을 입력하십시오",
        "the disk is full",
    ]
