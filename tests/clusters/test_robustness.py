"""A few of the rounds that `tests/robustness/run` plays for hours: the same ones each time, by their seed."""

import json
import subprocess
from pathlib import Path

import pytest
from projects import REPOSITORY

pytestmark = pytest.mark.sandbox

ROUNDS = 3


def run(report: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", "tests/robustness/run", "--seed", "2026", "--rounds", str(ROUNDS), "--report", str(report)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_rounds_with_faults_break_no_rule_and_are_not_played_again(tmp_path):
    ran = run(tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rounds = [json.loads(line) for line in (tmp_path / "rounds.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [each["number"] for each in rounds] == [1, 2, 3]
    assert len({each["fault"] for each in rounds}) == ROUNDS
    histories = sorted((tmp_path / "histories").iterdir())
    assert len(histories) == ROUNDS
    seen = [json.loads(line) for path in histories for line in path.read_text(encoding="utf-8").splitlines()]
    assert {entry["object"] for entry in seen if entry["type"] == "change"} == {"namespace", "quota", "pod"}
    again = run(tmp_path)
    assert (again.returncode, again.stdout.splitlines()[1:]) == (0, ["3 of 3 rounds on record broke no rule"])
