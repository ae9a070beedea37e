"""The log: where it goes, what a line says, and that the processes of a command share it."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from gpuprov.run import log

CHILD = (
    "from gpuprov.run import log; import logging; log.configure_as_parent(); logging.getLogger('gpuprov.x').info('hi')"
)


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ours = logging.getLogger("gpuprov")
    before = ours.handlers, ours.level, ours.propagate
    monkeypatch.delenv(log.LEVEL_VARIABLE, raising=False)
    monkeypatch.delenv(log.FORMAT_VARIABLE, raising=False)
    yield
    ours.handlers, ours.propagate = before[0], before[2]
    ours.setLevel(before[1])


def test_a_line_of_json_has_its_timestamp_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(logging.INFO, log.Format.JSON)
    about = {"provider": "kt-cloud", "award": "HPC-1", "namespace": "gpu-hpc-1", "secret": "x"}
    logging.getLogger("gpuprov.run").info("%d H200 과제", 8, extra=about)
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert (out, err.count("\n")) == ("", 1)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "level": "INFO",
        "logger": "gpuprov.run",
        "message": "8 H200 과제",
        "provider": "kt-cloud",
        "award": "HPC-1",
        "namespace": "gpu-hpc-1",
    }


def test_a_line_of_text_has_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(logging.INFO, log.Format.TEXT)
    logging.getLogger("gpuprov.run").warning("slow", extra={"provider": "kt-cloud"})
    timestamp, rest = capsys.readouterr().err.split(" ", 1)
    assert datetime.fromisoformat(timestamp).utcoffset() is not None
    assert rest == "WARNING slow provider=kt-cloud\n"


def test_below_the_level_nothing_is_logged_and_silent_logs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for level in (logging.INFO, log.SILENT):
        log.configure(level, log.Format.TEXT)
        logging.getLogger("gpuprov.kube").debug("GET")
    logging.getLogger("gpuprov.kube").critical("x")
    assert capsys.readouterr() == ("", "")


def test_a_namespace_is_told_with_its_award(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(logging.INFO, log.Format.JSON)
    log.name_awards({"gpu-hpc-1": "HPC-1"})
    for namespace in ("gpu-hpc-1", "gpu-hpc-2"):
        logging.getLogger("gpuprov.kube.client").info("DELETE", extra={"namespace": namespace})
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["award"], "award" in second) == ("HPC-1", False)


def test_a_process_that_a_command_starts_logs_like_it() -> None:
    log.configure(logging.INFO, log.Format.JSON)
    loud = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    log.configure(logging.ERROR, log.Format.JSON)
    quiet = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert json.loads(loud.stderr)["message"] == "hi"
    assert (loud.stdout, quiet.stderr) == ("", "")


def test_a_bug_is_logged_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for form in log.Format:
        log.configure(logging.INFO, form)
        try:
            raise RuntimeError("one\x1b[2J")
        except RuntimeError as error:
            logging.getLogger("gpuprov.run").error("bug", exc_info=error)
    text, *trace, line = capsys.readouterr().err.splitlines()
    assert (text.endswith("ERROR bug"), trace[0]) == (True, "Traceback (most recent call last):")
    assert trace[-1] == r"RuntimeError: one\x1b[2J"
    assert json.loads(line)["exception"].splitlines()[0] == "Traceback (most recent call last):"


def test_a_message_is_one_line_in_which_nothing_hides(capsys: pytest.CaptureFixture[str]) -> None:
    for form in log.Format:
        log.configure(logging.INFO, form)
        logging.getLogger("gpuprov.run").info("a\nb\u202ec", extra={"award": "x\ny"})
    text, line = capsys.readouterr().err.splitlines()
    assert text.endswith(r"INFO a\nb\u202ec award=x\ny")
    assert (r"\u202e" in line, json.loads(line)["message"]) == (True, "a\nb\u202ec")
