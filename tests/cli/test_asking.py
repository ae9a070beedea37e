"""Questions: answers in both languages, and what is said of a "no" to a later question of the same command."""

import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from gpuprov import i18n
from gpuprov.cli import acting
from gpuprov.cli.asking import Declined, ask, confirm
from gpuprov.cli.errors import Exit
from gpuprov.core.guard import Confirmed
from gpuprov.run.intents import Intent


@pytest.fixture
def _korean() -> Iterator[None]:
    i18n.use("ko")
    yield
    i18n.use("en")


def answered(monkeypatch: pytest.MonkeyPatch, typed: str) -> Result:
    @click.command()
    def command() -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        confirm("Go on?", yes=False)

    return CliRunner().invoke(command, input=typed)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize(
    ("answer", "code"),
    [("y", 0), ("YES", 0), ("예", 0), ("네", 0), ("ㅛ", 0), ("n", 1), ("no", 1), ("아니요", 1), ("ㅜ", 1), ("", 1)],
)
def test_answers_in_both_languages_count_in_both(
    monkeypatch: pytest.MonkeyPatch, language: str, answer: str, code: int
) -> None:
    i18n.use(language)
    try:
        assert answered(monkeypatch, f"{answer}\n").exit_code == code
    finally:
        i18n.use("en")


def test_another_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answered(monkeypatch, "perhaps\ny\n")
    assert (result.exit_code, result.stderr.count("Go on? [y/N]: ")) == (0, 2)
    assert "Error: answer y or n" in result.stderr


@pytest.mark.usefixtures("_korean")
def test_a_question_tells_its_answers_in_korean(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answered(monkeypatch, "n\n")
    assert "예(y)/아니요(n)" in result.stderr
    assert result.stderr.endswith("변경한 것은 없습니다\n")


class _Story:
    """A command whose question is answered with no, before or after it has recorded its decision."""

    recorded = False

    def __init__(self, **_: object) -> None:
        pass

    def run(self) -> None:
        raise Declined(Exit.FAILURE)


@pytest.mark.parametrize("recorded", [False, True])
def test_nothing_was_changed_is_said_only_where_nothing_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recorded: bool
) -> None:
    def decide() -> Intent:
        raise AssertionError

    monkeypatch.setattr(_Story, "recorded", recorded)
    monkeypatch.setattr(acting, "Story", _Story)
    with pytest.raises(SystemExit) as ended:
        acting.act(decide, confirmed=Confirmed(), purpose="up", yes=False, as_json=False, timeout=1.0)
    assert ended.value.code == Exit.FAILURE
    told = capsys.readouterr().err
    assert ("nothing was changed" in told) is not recorded
    assert ("what was recorded in the ledger stays there" in told) is recorded


def test_yes_asks_nobody() -> None:
    assert ask("Go on?", yes=True) is False
