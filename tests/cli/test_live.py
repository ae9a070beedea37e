"""One live line for each provider on a terminal, and every line in a pipe."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import REPOSITORY
from rich.cells import cell_len
from terminals import run_at

from gpuprov.cli.live import Progress, shortened

SCRIPT = """
from gpuprov.cli.live import Progress
progress = Progress()
progress.show("kt-cloud", "ending the pods of 3 awards")
progress.show("samsung-sds", "lowering 2 quotas")
progress.show("kt-cloud", "the GPUs of 3 awards are proven free")
progress.close()
print("a question")
progress.show("kt-cloud", "applying 3 awards")
"""


def screen(written: str) -> list[str]:
    """Return what is to be seen in the end: the lines that were not written over."""
    lines = [""]
    for number, part in enumerate(written.split("\x1b[")):
        text = part
        if number and part[1:2] == "A":
            del lines[len(lines) - 1 - int(part[0]) :]
            lines.append("")
            text = ""
        elif number:
            text = part.removeprefix("J")
        first, *more = text.split("\n")
        lines[-1] += first
        lines += more
    return [line for line in lines if line]


def at(width: int, tmp_path: Path, **variables: str) -> str:
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"} | variables
    code, written = run_at([sys.executable, "-c", SCRIPT], tmp_path, environment, width)
    assert code == 0
    return written


def test_a_terminal_has_one_line_for_each_provider_that_is_written_over(tmp_path: Path) -> None:
    assert screen(at(80, tmp_path)) == [
        "  kt-cloud: the GPUs of 3 awards are proven free",
        "  samsung-sds: lowering 2 quotas",
        "a question",
        "  kt-cloud: applying 3 awards",
    ]
    assert screen(at(40, tmp_path))[0] == "  kt-cloud: the GPUs of 3 awards are …"


def test_without_escape_sequences_every_line_is_kept(tmp_path: Path) -> None:
    written = at(80, tmp_path, NO_COLOR="1")
    assert "\x1b" not in written
    assert len(written.splitlines()) == 5


def test_a_pipe_gets_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.show("kt-cloud", "lowering 2 quotas")
    progress.show("", "deciding again")
    progress.close()
    assert capsys.readouterr().err == "  kt-cloud: lowering 2 quotas\n  deciding again\n"


def test_the_log_at_the_terminal_is_not_written_over(tmp_path: Path) -> None:
    logged = SCRIPT.replace("progress = ", "import logging\nlogging.getLogger('gpuprov').setLevel('INFO')\nprogress = ")
    environment = {"PYTHONPATH": str(REPOSITORY)}
    _, written = run_at([sys.executable, "-c", logged], tmp_path, environment, 80)
    assert ("\x1b" not in written, len(written.splitlines())) == (True, 5)


@given(st.one_of(st.text("ab -가", max_size=60), st.text(max_size=30)), st.integers(3, 60))
def test_a_shortened_line_fits(text: str, width: int) -> None:
    short = shortened(text, width)
    assert cell_len(short) <= width
    assert short == text or short.endswith(" …")
