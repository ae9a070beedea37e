"""The home that Pulumi is given: everything of the real one but its logs."""

from pathlib import Path

import pytest

from gpuprov.engine import environment


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "real"
    (home / "logs").mkdir(parents=True)
    (home / "credentials.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("PULUMI_HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(environment.LOGS_VARIABLE, raising=False)
    return home


def home() -> Path:
    return Path(environment.variables()["PULUMI_HOME"])


def test_everything_but_the_logs_is_there(real: Path) -> None:
    given = home()
    assert given != real
    assert not (given / "logs").is_dir()
    assert {entry.name: entry.resolve() for entry in given.iterdir() if entry.name != "logs"} == {
        name: real / name for name in ("credentials.json", "plugins", "workspaces")
    }


def test_what_pulumi_writes_there_is_written_in_the_real_one(real: Path) -> None:
    given = home()
    (given / "credentials.json").write_text('{"current": "x"}', encoding="utf-8")
    (given / "workspaces" / "one.json").write_text("{}", encoding="utf-8")
    (given / "plugins" / "resource-x").mkdir()
    assert (real / "credentials.json").read_text(encoding="utf-8") == '{"current": "x"}'
    assert (real / "workspaces" / "one.json").is_file()
    assert (real / "plugins" / "resource-x").is_dir()


def test_what_comes_later_is_there_the_next_time(real: Path) -> None:
    first = home()
    (real / "policies").mkdir()
    (real / "credentials.json").unlink()
    assert home() == first
    assert (first / "policies").is_dir()
    (real / "credentials.json").write_text("{}", encoding="utf-8")
    assert (home() / "credentials.json").is_file()


def test_each_real_home_has_its_own(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = home()
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "another"))
    assert home() != first


def test_logs_can_be_asked_for(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.LOGS_VARIABLE, "1")
    assert "PULUMI_HOME" not in environment.variables()


def test_what_the_caller_set_for_the_collector_stays(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.variables()["GOGC"] == "200"
    assert environment.variables(reading=True)["GOGC"] == "off"
    monkeypatch.setenv("GOGC", "50")
    assert "GOGC" not in environment.variables()
    assert "GOGC" not in environment.variables(reading=True)
