"""How long an awardee's token may live, and what is in its kubeconfig."""

import base64
import stat
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import HOURS, JULY, MARCH, award, cluster, desired, events, forfeited, reduced, tenant

from gpuprov.access import SHORTEST_SECONDS, Token
from gpuprov.errors import InputError
from gpuprov.ledger import history
from gpuprov.run import credentials

EARLIER = datetime(2026, 2, 1, tzinfo=UTC)
LATER = datetime(2026, 5, 1, tzinfo=UTC)
AFTERWARDS = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_token_lives_to_the_end_of_the_term_or_as_long_as_was_asked_for():
    one = history(award("A"), [])
    assert credentials.lifetime(one, MARCH, None, AFTERWARDS) == int((JULY - MARCH).total_seconds())
    assert credentials.lifetime(one, MARCH, 12, AFTERWARDS) == 12 * 3600
    assert credentials.lifetime(one, JULY - timedelta(hours=3), 12, AFTERWARDS) == 3 * 3600


def test_a_forfeiture_that_is_known_already_ends_the_token():
    one = history(award("A", 8), [reduced("A", EARLIER, 4), forfeited("A", LATER)])
    assert credentials.lifetime(one, MARCH, None, AFTERWARDS) == int((LATER - MARCH).total_seconds())


def test_a_term_that_is_nearly_over_gets_no_token():
    one = history(award("A"), [])
    last = JULY - timedelta(seconds=SHORTEST_SECONDS)
    assert credentials.lifetime(one, last, None, AFTERWARDS) == SHORTEST_SECONDS
    with pytest.raises(InputError, match="no token can live less than 600 s"):
        credentials.lifetime(one, last + timedelta(seconds=1), None, AFTERWARDS)


def test_no_instant_of_the_past_makes_a_token_outlive_a_term_that_runs():
    one = history(award("A"), [])
    now = JULY - timedelta(hours=2)
    assert credentials.lifetime(one, MARCH, None, now) == 2 * 3600
    assert credentials.lifetime(one, JULY - timedelta(hours=1), None, now) == 3600


@given(events(), HOURS, st.none() | st.integers(1, 10_000), HOURS)
def test_no_token_outlives_what_the_award_holds(some, at, hours, now):
    one = history(award("HPC-1"), some)
    assume(one.at(at) is not None)
    try:
        seconds = credentials.lifetime(one, at, hours, now)
    except InputError:
        assert any(one.at(begins + timedelta(seconds=SHORTEST_SECONDS)) is None for begins in (at, now))
        return
    end = max(part.end for part in one.allocations)
    assert seconds >= SHORTEST_SECONDS
    assert at + timedelta(seconds=seconds) <= end
    assert now >= end or now + timedelta(seconds=seconds) <= end
    assert hours is None or seconds <= hours * 3600


def test_an_award_without_gpus_gets_none_and_hears_why():
    state = desired([award("A")], [cluster()], MARCH, [forfeited("A", EARLIER)])
    with pytest.raises(InputError, match=r"'A': has no GPUs \(forfeited at 2026-02-01T09:00\+09:00 by"):
        credentials.tenant_of(state, "A")


def test_the_kubeconfig_leads_to_the_namespace_and_checks_the_server(tmp_path):
    token = Token(server="https://10.1.2.3:6443", authority=b"PEM", token="t", issued=EARLIER, expires=LATER)
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    credentials.write_private(path, credentials.kubeconfig(tenant("HPC-1"), token))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["kubeconfig"]
    made = yaml.safe_load(path.read_text(encoding="utf-8"))
    (where,) = made["clusters"]
    assert where["cluster"] == {
        "server": "https://10.1.2.3:6443",
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }
    assert made["contexts"][0]["context"] == {"cluster": "samsung-sds", "user": "gpu-hpc-1", "namespace": "gpu-hpc-1"}
    assert (made["current-context"], made["users"][0]["user"]) == ("gpu-hpc-1", {"token": "t"})


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        credentials.write_private(tmp_path / "folder", "text")
    with pytest.raises(InputError, match="cannot be written"):
        credentials.write_private(tmp_path / "nowhere" / "file", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
