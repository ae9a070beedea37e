"""`gpuprov term-guard` as it is started: it needs a service account, an address, and an instant with an offset."""

from pathlib import Path

import pytest
from forks import run_forked
from projects import REPOSITORY, Ran

TOKEN = "planted-token-1f8e"


def run(folder: Path, *options: str, **environment: str) -> Ran:
    """Start it as a pod does, without a project."""
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "GPUPROV_LANG": "en",
        "PYTHONPATH": str(REPOSITORY),
    } | environment
    return Ran(*run_forked(["term-guard", *options], folder, variables))


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "ca.crt").write_text("not a certificate", encoding="utf-8")
    return tmp_path


SERVER = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}


def test_without_a_service_account_it_says_what_to_do(tmp_path: Path) -> None:
    ran = run(tmp_path, **SERVER)
    assert ran.code == 5, ran
    assert "no service account in /var/run/secrets/kubernetes.io/serviceaccount" in ran.err
    assert "automountServiceAccountToken" in ran.err


def test_outside_of_a_pod_it_says_so(account: Path) -> None:
    ran = run(account, "--service-account", str(account))
    assert (ran.code, "Service host/port is not set" in ran.err) == (5, True), ran


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--listen", "9464"), "--listen '9464': is not an address"),
        (("--at", "2026-06-30T23:59:59"), "--at '2026-06-30T23:59:59': has no offset"),
    ],
)
def test_what_cannot_be_used_is_told(account: Path, options: tuple[str, ...], told: str) -> None:
    ran = run(account, "--service-account", str(account), *options, **SERVER)
    assert (ran.code, told in ran.err, TOKEN in ran.err) == (1, True, False), ran


@pytest.mark.parametrize("options", [("--margin", "-1"), ("--most-at-once", "0"), ("--retention", "2h")])
def test_numbers_have_bounds(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(tmp_path, *options).code == 2
