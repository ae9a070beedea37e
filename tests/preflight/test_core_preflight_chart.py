"""When a cluster counts as not set up, and what its findings then only repeat."""

from dataclasses import replace

import pytest
from preflight_facts import ALL_POLICIES, FIT

from gpuprov.preflight import Facts, Unread
from gpuprov.preflight.chart import not_set_up

NO_RIGHT = Unread("no right to see it")
BARE = replace(FIT, policies=({"metadata": {"name": "of-somebody-else"}},), bindings=(), tenant_role=None)


@pytest.mark.parametrize(
    "facts",
    [
        FIT,
        replace(FIT, policies=ALL_POLICIES[:1], tenant_role=None),  # half of a chart has to be looked at
        replace(FIT, policies=(), bindings=()),
        replace(FIT, policies=NO_RIGHT),
    ],
)
def test_where_a_part_of_the_chart_is_seen_the_cluster_is_set_up(facts: Facts) -> None:
    assert not_set_up(facts) is None


def test_where_nothing_of_it_is_the_cluster_is_not_set_up() -> None:
    found = not_set_up(BARE)
    assert found is not None
    assert (found.reason, found.checks) == ("not set up", {"rights", "admission"})


def test_where_nothing_may_be_seen_it_may_be_the_identity() -> None:
    found = not_set_up(replace(BARE, policies=NO_RIGHT, tenant_role=NO_RIGHT, nodes=NO_RIGHT))
    assert found is not None
    assert found.reason == "not set up, or this identity is not the chart's"
    assert found.checks == {"rights", "admission", "nodes", "resource names", "device plugin"}
