"""The preflight's judgement, facts in and findings out: all checks together, the version, the clock and the identity.

Reading the facts is tried on a real cluster (tests/clusters).
"""

from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preflight_facts import FIT, NOON, node, only, results
from strategies import cluster

from gpuprov.preflight import Facts, Finding, Result, Unread, clock, examine, identity, version
from gpuprov.preflight.facts import Clock, Reply
from gpuprov.toolchain.pins import KUBERNETES_VERSION


def judged(facts: Facts, **more: Any) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in examine(
        more.pop("where", cluster(uid="u-1")), facts, at=NOON, peaks=more.pop("peaks", {"H100": 200}), **more
    ):
        found.setdefault(finding.check, []).append(finding)
    return found


# ---- all together


def test_a_fit_cluster_has_nothing_to_complain_of() -> None:
    found = judged(FIT, known="u-1", chart="0.2.0")
    assert {finding.result for lines in found.values() for finding in lines} == {Result.OK}
    assert {finding.remedy for lines in found.values() for finding in lines} == {""}


def test_what_cannot_be_read_is_never_ok() -> None:
    nothing = Unread("forbidden")
    blind = replace(
        FIT,
        uid=nothing,
        rights=nothing,
        nodes=nothing,
        daemon_sets=nothing,
        policies=nothing,
        bindings=nothing,
        tenant_role=nothing,
        device_classes=nothing,
        api_servers=nothing,
        probed_pod=None,
        probed_namespace=Reply(status=403, message="no"),
    )
    found = judged(blind)
    unseen = [finding for check, lines in found.items() if check not in ("version", "clock") for finding in lines]
    assert Result.OK not in results(unseen)
    assert all(finding.remedy for finding in unseen)
    assert {"identity", "rights", "nodes", "admission"} <= {
        finding.check for finding in unseen if finding.result is Result.FAILED
    }


def test_device_classes_are_judged_where_the_nodes_cannot_be_seen() -> None:
    """The guard asks for them in any case, and the preflight must say what to do."""
    served = {"metadata": {"name": "gpu.nvidia.com"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}}
    found = judged(replace(FIT, nodes=Unread("forbidden"), device_classes=(served,)))
    assert results(found["nodes"] + found["resource names"]) == ["failed", "failed"]
    assert "resource names" not in judged(replace(FIT, nodes=Unread("forbidden")))


def test_each_failing_line_says_what_to_do_and_each_good_one_nothing() -> None:
    bad = replace(FIT, nodes=(node(gpus=1, labels={}),), policies=(), tenant_role=None, rights={}, uid="other")
    for lines in judged(bad).values():
        for finding in lines:
            assert bool(finding.remedy) == (finding.result is not Result.OK), finding


# ---- version


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"major": "1", "minor": "29", "gitVersion": "v1.29.9"}, "failed"),
        ({"major": "1", "minor": "30+", "gitVersion": "v1.30.1-eks-1"}, "ok"),
        ({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}, "ok"),
        ({"major": "1", "minor": "37", "gitVersion": "v1.37.0"}, "warning"),
        ({"major": "2", "minor": "0", "gitVersion": "v2.0.0"}, "warning"),
        ({"gitVersion": "v1.29.0"}, "failed"),
        ({"gitVersion": "dev"}, "warning"),
        ({}, "warning"),
    ],
)
def test_versions(said: dict[str, str], result: str) -> None:
    assert only(version.check(said)).result == result


def test_the_newest_tested_version_is_the_sandboxes() -> None:
    assert tuple(int(part) for part in KUBERNETES_VERSION.split(".")[:2]) == version.NEWEST_TESTED


# ---- clock


@given(st.floats(-600, 600), st.floats(0, 20), st.floats(0, 1))
def test_a_skew_is_found_whatever_the_request_took(apart: float, took: float, share: float) -> None:
    """The header tells whole seconds, and when within the request it was written is not known."""
    sent, received = NOON, NOON + timedelta(seconds=took)
    told = sent + timedelta(seconds=took * share + apart)
    reading = Clock(sent=sent, received=received, date=format_datetime(told.replace(microsecond=0), usegmt=True))
    server = told.replace(microsecond=0)
    assert abs(clock.skew(reading, server).total_seconds() - apart) <= 0.5 + took / 2 + 1e-5
    result = only(clock.check(reading)).result
    unsure = 0.5 + took / 2 + 1e-5
    if abs(apart) > clock.FAILED_SECONDS + unsure:
        assert result is Result.FAILED
    if abs(apart) < clock.WARNING_SECONDS - unsure:
        assert result is Result.OK


def test_a_server_that_is_behind_is_said_to_be_behind() -> None:
    late = Clock(sent=NOON, received=NOON, date=format_datetime(NOON - timedelta(minutes=3), usegmt=True))
    line = only(clock.check(late))
    assert (line.result, line.seen) == ("failed", "the server's clock is 180 s behind this machine's")


@pytest.mark.parametrize("date", [None, "", "soon"])
def test_a_server_without_a_date_is_a_warning(date: str | None) -> None:
    assert only(clock.check(Clock(sent=NOON, received=NOON, date=date))).result is Result.WARNING


# ---- identity


@pytest.mark.parametrize(
    ("pinned", "known", "expected"),
    [
        ("u-1", "u-1", ["ok"]),
        ("u-1", None, ["ok"]),
        ("u-1", Unread("no pulumi"), ["ok"]),
        ("u-2", None, ["failed"]),
        ("u-1", "u-2", ["failed"]),
        ("u-2", "u-2", ["failed", "failed"]),
        (None, "u-1", ["warning"]),
        (None, "u-2", ["failed", "warning"]),
    ],
)
def test_identities(pinned: str | None, known: str | Unread | None, expected: list[str]) -> None:
    assert results(identity.check(cluster(uid=pinned), "u-1", known)) == expected
