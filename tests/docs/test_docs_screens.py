"""The screens in docs/cli.md are what the commands print."""

import pytest
from documents import CLI, blocks, sections
from plans import KT, SDS, plan
from strategies import award, live, seen, tenant

from gpuprov.cli.output import print_plan
from gpuprov.core.plan import Plan


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
