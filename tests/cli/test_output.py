"""What commands say of a plan and of what was done: nothing is called unchanged that was changed or not read."""

from typing import Any

import pytest
from plans import KT, SDS, edited, plan
from strategies import award, live, seen, tenant

from gpuprov.cli.output import print_outcomes, print_plan
from gpuprov.core.observed import ObservedTenant
from gpuprov.core.tenant import Tenant
from gpuprov.run.job import Outcome


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal of those who run the tests: no line is broken."""
    monkeypatch.delenv("COLUMNS", raising=False)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1].split("+09:00: ")[1]


def test_a_plan_of_clusters_that_were_all_read(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(plan([award("A")], seen(SDS, live(tenant("A", 8, SDS), SDS)), seen(KT)))
    assert said(capsys) == "nothing to change, 1 unchanged"


def test_a_plan_without_any_cluster_does_not_say_that_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(plan([award("A")]), unread=["samsung-sds", "kt-cloud"])
    assert said(capsys) == "no cluster could be read, so nothing is known of what would change"


def test_a_plan_names_the_clusters_that_it_knows_nothing_of(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(plan([award("A")], seen(SDS)), unread=["kt-cloud"])
    assert said(capsys) == "1 to create, 0 unchanged; not read: kt-cloud"
    print_plan(plan([award("A")], seen(KT)), unread=["samsung-sds"])
    assert said(capsys) == "nothing to change, 0 unchanged; not read: samsung-sds"


def test_a_long_plan_is_grouped_and_shows_what_needs_attention(capsys: pytest.CaptureFixture[str]) -> None:
    """One award is in no list any more, one quota was edited; 13 creations are routine."""
    by_hand = edited_by_hand(tenant("B", 8, SDS))
    awards = [award("B"), *(award(f"N-{number:02}", 4) for number in range(13))]
    print_plan(plan(awards, seen(SDS, live(tenant("LOST", 16, SDS), SDS), by_hand)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "change   provider     model  awards  GPUs",
        "create   samsung-sds  H100       13  0 → 52",
        "update   samsung-sds  H100        1  2 → 8",
        "reclaim  samsung-sds  H100        1  16 → 0",
        "",
    ]
    assert [line.split()[:3] for line in lines[6:8]] == [
        ["update", "samsung-sds", "B"],
        ["reclaim", "samsung-sds", "LOST"],
    ]
    assert lines[8] == "… 13 more awards in these groups (`gpuprov plan --full` shows all)"


def edited_by_hand(wanted: Tenant) -> ObservedTenant:
    """A tenant whose quota somebody lowered to 2 GPUs; it is put right, which takes nothing from anybody."""

    def lower(quota: dict[str, Any]) -> None:
        quota["spec"]["hard"]["requests.nvidia.com/gpu"] = "2"

    return edited(live(wanted, SDS), "ResourceQuota", lower)


def rows(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the cells of the only provider's row."""
    return [cell.strip() for cell in capsys.readouterr().out.splitlines()[1].split("  ") if cell.strip()]


@pytest.mark.parametrize(
    ("outcome", "objects"),
    [
        (Outcome(provider="kt-cloud"), "no change"),
        (Outcome(provider="kt-cloud", operations={"same": 9}), "no change"),
        (Outcome(provider="kt-cloud", operations={"same": 9, "create": 6, "update": 2}), "6 create, 2 update"),
        (Outcome(provider="kt-cloud", lowered=("A",), operations={"same": 9}), "1 quota lowered"),
        (Outcome(provider="kt-cloud", lowered=("A", "B"), operations={"update": 2}), "2 quotas lowered, 2 update"),
    ],
)
def test_a_quota_that_was_put_right_before_pulumi_looked_counts_as_a_change(
    capsys: pytest.CaptureFixture[str], outcome: Outcome, objects: str
) -> None:
    print_outcomes([outcome])
    assert rows(capsys)[3] == objects


def test_where_no_cluster_was_reached_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_outcomes([])
    assert capsys.readouterr().out == ""
