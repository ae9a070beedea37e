"""The table of faults, from rounds on record."""

import json

from report import ROUNDS as FILE
from report import rounds_in, summary, table


def played(fault, hit, code, told="", *, broken=(), backend="file"):
    operations = [{"words": ["up"], "code": code, "told": told}]
    return {"fault": fault, "hit": hit, "operations": operations, "broken": list(broken), "backend": backend}


ROUNDS = [
    played("SIGKILL", "worker", 5, "deciding\n  - HPC-1-2 | ended with code 7"),
    played("SIGKILL", "", 0, backend="s3"),
    played(
        "SIGKILL", "pulumi", 5, "deciding\n  - HPC-1-2 | ended with code 7", broken=[{"rule": "capacity"}], backend="s3"
    ),
    played("429", "3 times", 0),
]


def test_a_row_for_each_kind_says_what_was_injected_survived_and_seen():
    assert table(ROUNDS).splitlines()[2:] == [
        "| 429 | 1 | 1 | 1 | 0: 1 | file 1 |",
        "| SIGKILL | 3 | 2 (pulumi 1, worker 1) | 2 | 0: 1, 5: 2; “… \\| ended with code …” | file 1, s3 2 |",
    ]


def test_rounds_that_broke_a_rule_are_counted():
    assert summary(ROUNDS) == "3 of 4 rounds on record broke no rule"


def test_a_round_that_was_played_again_counts_once_and_as_it_was_last(tmp_path):
    line = played("429", "", 0, broken=[{"rule": "told"}]) | {"seed": 1, "number": 7}
    lines = [line, line | {"number": 8}, line | {"broken": []}]
    (tmp_path / FILE).write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    assert [(each["number"], bool(each["broken"])) for each in rounds_in([tmp_path])] == [(7, False), (8, True)]
