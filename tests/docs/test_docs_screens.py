"""The screens in docs/cli.md, and the reports in docs/screens.md, are what the commands print."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from documents import CLI, DOCS, blocks, sections
from plans import KT, SDS, plan
from strategies import award, live, seen, tenant

from gpuprov.cli.acting import report
from gpuprov.cli.output import print_plan
from gpuprov.core.plan import Plan
from gpuprov.errors import ClusterUnreachable, GpuprovError
from gpuprov.run.job import Freed, Outcome
from gpuprov.run.story import Report


def short() -> Plan:
    gone = live(tenant("HPC-2026-1-002", 16, SDS), SDS)
    return plan([award("HPC-2026-1-009", 4)], seen(SDS, gone), seen(KT))


def long() -> Plan:
    awards = [award(f"HPC-2026-1-{number:03}", 4) for number in range(10, 30)]
    gone = live(tenant("HPC-2026-1-002", 16, SDS), SDS)
    return plan(awards, seen(SDS, gone), seen(KT))


SCREENS = {
    ("Output", 0): (80, short),
    ("Output", 1): (60, short),
    ("plan", 0): (80, long),
}


@pytest.mark.parametrize(("section", "number"), SCREENS)
def test_a_screen_is_what_is_printed(
    section: str, number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, made = SCREENS[section, number]
    monkeypatch.setenv("COLUMNS", str(width))
    print_plan(made())
    assert blocks(sections(CLI, 2)[section], "text")[number] == capsys.readouterr().out


def reclaimed(failed: Mapping[str, GpuprovError]) -> Report:
    freed = Freed(
        award_id="HPC-2026-1-003",
        namespace="gpu-hpc-2026-1-003",
        model="H100",
        gpus=8,
        proven_at=datetime(2026, 3, 2, 14, tzinfo=UTC),
        pods_seconds=1.2,
        seconds=9.5,
    )
    applied = Outcome(
        provider="samsung-sds",
        applied=("HPC-2026-1-003",),
        operations={"delete": 6},
        freed=(freed,),
        seconds=9.6,
    )
    return Report(outcomes=(applied,), failed=failed)


NOT_READ = ClusterUnreachable(
    "kt-cloud",
    "it is not known whether the awards have namespaces here too: the API server of context 'kt-cloud' does not answer",
)
FAILED = Outcome(
    provider="samsung-sds",
    stuck={"HPC-2026-1-003": "the pod train-0 is still there"},
    error="HPC-2026-1-003: the pod train-0 is still there after 120 s; its GPUs are not credited",
    seconds=121.0,
)
REPORTS = [(80, reclaimed({"kt-cloud": NOT_READ})), (60, reclaimed({"kt-cloud": NOT_READ}))]
REPORTS.append((80, Report(outcomes=(FAILED,))))


@pytest.mark.parametrize("number", range(len(REPORTS)))
def test_a_report_is_what_is_printed(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, done = REPORTS[number]
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit):
        report(done, as_json=False)
    printed = capsys.readouterr()
    told = sections((DOCS / "screens.md").read_text(encoding="utf-8"), 2)["forfeit"]
    lines = (printed.out + printed.err).splitlines()
    assert blocks(told, "text")[number].splitlines() == [line.rstrip() for line in lines]
