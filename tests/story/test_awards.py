"""All awards, and one of them, where no cluster can be read: list and ledger tell what they know."""

import json
from datetime import datetime

import pytest
from projects import copy_project
from strategies import MARCH

from gpuprov.errors import InputError
from gpuprov.load.project import open_project
from gpuprov.run.award import read_award
from gpuprov.run.awards import read_awards
from gpuprov.run.loading import load

PROVIDERS = {"elice-cloud", "kt-cloud", "samsung-sds"}
AWARD = "HPC-2026-1-003"
AT = MARCH.isoformat()


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """A project without a kubeconfig, and two lines of the ledger on different awards, with an empty one between."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    root = copy_project(tmp_path / "project")
    event = {"at": AT, "by": "kim", "reason": "signed", "recorded": AT, "event": "accepted"}
    lines = [json.dumps(event | {"award": award}) for award in ("OLD-1", AWARD)]
    (root / "examples" / "ledger.jsonl").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return load(open_project(root))


def test_every_cluster_is_set_aside_and_every_award_has_its_row(loaded):
    rows, failed = read_awards(loaded, PROVIDERS, MARCH)
    assert (failed.keys(), len(rows)) == (PROVIDERS, 121)
    assert {row.in_use for row in rows} == {None}
    assert [row.award for row in rows if row.accepted] == [AWARD, "OLD-1"]


def test_only_the_clusters_that_are_asked_for_are_read(loaded):
    rows, failed = read_awards(loaded, {"kt-cloud"}, MARCH)
    assert (failed.keys(), len(rows)) == ({"kt-cloud"}, 121)


def test_one_award_has_its_place_in_the_list_and_its_own_lines_of_the_ledger(loaded):
    details = read_award(loaded, AWARD, MARCH)
    assert str(details.origin).endswith("examples/awards-2026-h1.csv:4")
    assert [(row, event.award) for row, event in details.events] == [(3, AWARD)]
    assert (details.homes, details.changes, details.failed.keys()) == ((), (), PROVIDERS)
    assert [edge.at for edge in details.next] == [datetime.fromisoformat("2026-07-01T00:00:00+09:00")]


def test_an_award_that_only_the_ledger_knows_is_known(loaded):
    details = read_award(loaded, "OLD-1", MARCH)
    assert (details.history, details.origin, details.row.state) == (None, None, "unlisted")
    assert [row for row, _ in details.events] == [1]


def test_what_nobody_knows_is_refused_with_what_could_not_be_read(loaded):
    with pytest.raises(InputError) as caught:
        read_award(loaded, "OLD-2", MARCH)
    (problem,) = caught.value.problems
    assert problem.message.endswith("on no cluster that was read (not read: elice-cloud, kt-cloud, samsung-sds)")
    assert problem.remedy == "check the award id; did you mean OLD-1?"
