"""Messages are strings in English until they are shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator

import pytest

from gpuprov import i18n
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.i18n import Word, all_of, any_of, joined, shown, tr, trn


class End(Word):
    TORN_DOWN = tr("torn down")


@pytest.fixture
def _korean() -> Iterator[None]:
    i18n.use("ko")
    yield
    i18n.use("en")


def test_a_message_is_its_english_sentence() -> None:
    message = tr("{provider}: {reason}", provider="kt-cloud", reason=tr("torn down"))
    assert message == "kt-cloud: torn down"
    assert shown(message) == "kt-cloud: torn down"
    assert trn("{number} award", "{number} awards", 1) == "1 award"
    assert trn("{number} award", "{number} awards", 2) == "2 awards"


@pytest.mark.usefixtures("_korean")
def test_what_a_message_is_made_of_is_translated_too() -> None:
    torn_down = shown(tr("torn down"))
    assert torn_down != "torn down"
    assert shown(tr("{provider}: {reason}", provider="kt-cloud", reason=tr("torn down"))) == f"kt-cloud: {torn_down}"
    assert shown(joined("; ", ["kt-cloud", tr("torn down")])) == f"kt-cloud; {torn_down}"


@pytest.mark.usefixtures("_korean")
def test_words_are_compared_in_english_and_shown_in_korean() -> None:
    torn_down = shown(tr("torn down"))
    assert End("torn down") is End.TORN_DOWN == "torn down"
    assert json.dumps({"end": End.TORN_DOWN}) == '{"end": "torn down"}'
    assert (shown(End.TORN_DOWN), f"{End.TORN_DOWN}", shown(str(End.TORN_DOWN))) == (torn_down, *["torn down"] * 2)
    assert shown(tr("{provider}: {reason}", provider="kt-cloud", reason=End.TORN_DOWN)) == f"kt-cloud: {torn_down}"
    assert shown(joined("; ", [End.TORN_DOWN])) == torn_down
    assert pickle.loads(pickle.dumps(End.TORN_DOWN)) is End.TORN_DOWN  # noqa: S301 (our own bytes)


def test_names_are_told_one_after_the_other() -> None:
    assert (all_of(["A"]), all_of("AB"), all_of("ABC")) == ("A", "A and B", "A and B and C")
    assert (any_of(["A"]), any_of("AB"), any_of("ABC")) == ("A", "A or B", "A or B or C")


@pytest.mark.usefixtures("_korean")
def test_names_are_told_in_korean() -> None:
    assert (shown(all_of("ABC")), shown(any_of("ABC"))) == ("A 및 B 및 C", "A 또는 B 또는 C")


@pytest.mark.usefixtures("_korean")
def test_messages_go_from_process_to_process() -> None:
    message = joined("; ", [tr("{provider}: {reason}", provider="a", reason=tr("torn down")), "b"])
    received = pickle.loads(pickle.dumps(message))  # noqa: S301 (our own bytes)
    assert shown(received) == shown(message) != message


@pytest.mark.usefixtures("_korean")
def test_unknown_text_is_shown_as_it_is() -> None:
    assert shown("torn down") == "torn down"
    assert shown(tr("no such template {number}", number=3)) == "no such template 3"


@pytest.mark.usefixtures("_korean")
def test_errors_keep_their_messages() -> None:
    problem = Problem(file="list.csv", row=3, message=tr("torn down"), remedy="mend it")
    torn_down = shown(tr("torn down"))
    assert shown(InputError([problem]).message_text) == f"list.csv:3 {torn_down}; mend it"
    assert str(InputError([problem])) == "list.csv:3 torn down; mend it"
    assert shown(PlanRefused([tr("torn down"), "b"]).message_text) == f"{torn_down}\nb"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "ko_KR.UTF-8", "LANG": "en_US.UTF-8"}, "ko"),
        ({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "ko_KR.UTF-8"}, "ko"),
    ],
)
def test_the_locale_chooses(environment: dict[str, str], language: str) -> None:
    assert i18n.of_environment(environment) == language
