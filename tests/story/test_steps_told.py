"""What the steps of commands say to people can be translated, and stays English for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from projects import REPOSITORY
from strategies import MARCH, forfeited

from gpuprov import i18n
from gpuprov.errors import InputError
from gpuprov.i18n import shown
from gpuprov.load.project import open_project
from gpuprov.run import byhand, intents
from gpuprov.run.child import Answer
from gpuprov.run.clock import as_written, not_now
from gpuprov.run.job import Outcome
from gpuprov.run.pipeline import select


@pytest.fixture
def _korean() -> Iterator[None]:
    i18n.use("ko")
    yield
    i18n.use("en")


@pytest.mark.usefixtures("_korean")
def test_a_process_without_an_answer_is_told_in_both_languages() -> None:
    outcome = Answer(outcome=None, code=-9).read(Outcome, provider="kt-cloud")
    assert outcome.error is not None
    assert outcome.error == "its process ended with code -9 and no answer; rerun the same command"
    assert json.loads(outcome.model_dump_json())["error"] == outcome.error
    assert shown(outcome.error) == "프로세스가 응답 없이 끝났습니다(코드 -9). 같은 명령을 다시 실행하십시오"


@pytest.mark.usefixtures("_korean")
def test_the_ledger_gets_english_and_its_writer_is_told_in_korean(tmp_path: Path) -> None:
    project = replace(open_project(REPOSITORY), ledger=tmp_path / "ledger.jsonl")
    told: list[str] = []
    intents.record(project, [forfeited("HPC-1", MARCH)], 0, lambda line: told.append(shown(line)))
    assert told == ["ledger.jsonl에 기록했습니다: HPC-1 포기"]
    assert json.loads(project.ledger.read_text(encoding="utf-8"))["event"] == "forfeited"


@pytest.mark.usefixtures("_korean")
def test_the_clock_and_unknown_providers_are_told_in_korean() -> None:
    assert shown(not_now(MARCH, "--at", MARCH.tzinfo)) == (
        f"현재가 아니라 {MARCH.isoformat(timespec='minutes')} 기준으로 결정합니다(--at)"
    )
    with pytest.raises(InputError) as wrong:
        as_written("soon")
    assert shown(wrong.value.message_text) == (
        "GPUPROV_AT 'soon': 시각의 형식이 아닙니다; 2026-06-30T23:59:59+09:00과 같이 쓰십시오"
    )
    with pytest.raises(InputError) as unknown:
        select(open_project(REPOSITORY).clusters, ["aws"])
    assert shown(unknown.value.message_text) == (
        "--provider 'aws': 이 프로젝트의 공급사가 아닙니다; 사용할 수 있는 공급사: elice-cloud, kt-cloud, samsung-sds"
    )


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_pulumi_by_hand_speaks_the_language_of_the_environment(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    monkeypatch.setenv("GPUPROV_LANG", language)
    monkeypatch.setattr(byhand, "start", lambda program: used.append(i18n.language()))
    monkeypatch.chdir(REPOSITORY)
    byhand.main()
    i18n.use(i18n.SOURCE)
    assert used == [language]
