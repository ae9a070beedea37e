"""What a diagnosis finds: each disagreement once, in the awards that it is about, with the command that mends it."""

import json
from copy import deepcopy
from dataclasses import replace

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import edited
from strategies import JULY, MARCH, award, cluster, desired, extended, forfeited, live, seen

from gpuprov.cli import main
from gpuprov.core.diagnosis import Kind, Papers, Source, View, diagnose
from gpuprov.core.manifests import TERM_END
from gpuprov.core.outputs import summary
from gpuprov.core.stackstate import StackState
from gpuprov.core.standing import Standing

SDS = cluster(H100=400)
NAME = "samsung-sds"
STEADY = "HPC-0"


def _none(world, award_id):
    """Everything agrees."""


def _absent(world, award_id):
    del world.tenants[award_id]


def _unknown(world, award_id):
    world.known.discard(award_id)
    del world.recorded[award_id]


def _drifted(world, award_id):
    def more(quota):
        quota["spec"]["hard"]["requests.nvidia.com/gpu"] = "9"

    world.tenants[award_id] = edited(world.tenants[award_id], "ResourceQuota", more)


def _orphan(world, award_id):
    world.listed.remove(award_id)


def _going(world, award_id):
    tenant = world.tenants[award_id]
    objects = deepcopy(dict(tenant.objects))
    namespace = objects["Namespace", tenant.namespace]
    namespace["metadata"] |= {"deletionTimestamp": "2026-03-01T00:00:00Z", "finalizers": ["example.org/x"]}
    world.tenants[award_id] = replace(tenant, objects=objects)


def _forfeited(world, award_id):
    world.events.append(forfeited(award_id, MARCH))


def _older(world, award_id):
    world.recorded[award_id] = world.recorded[award_id] | {"quota": {"requests.nvidia.com/gpu": 1}}


def _left(world, award_id):
    world.listed.remove(award_id)
    del world.tenants[award_id]


EXPECTED = {
    _none: None,
    _absent: Kind.MISSING,
    _unknown: Kind.OLD,
    _drifted: Kind.DRIFTED,
    _orphan: Kind.UNWANTED,
    _going: Kind.TERMINATING,
    _forfeited: Kind.ENDED,
    _older: Kind.OLD,
    _left: Kind.OLD,
}


class World:
    """Awards that list, cluster and state agree on, until something is changed."""

    def __init__(self, award_ids):
        self.listed = list(award_ids)
        self.events = []
        tenants = desired([award(name) for name in award_ids], [SDS]).tenants
        self.tenants = {tenant.award_id: live(tenant, SDS) for tenant in tenants}
        self.recorded = summary(tenants)
        self.known = set(award_ids)

    @property
    def desired(self):
        return desired([award(name) for name in self.listed], [SDS], MARCH, self.events)

    @property
    def state(self):
        told = {"tenants": self.recorded, "clusterUid": "uid-1", "context": NAME, "shards": 1}
        return StackState(stack=NAME, outputs=told, awards=frozenset(self.known))

    def view(self, **more):
        return View(**{"cluster": SDS, "observed": seen(SDS, *self.tenants.values()), "states": (self.state,)} | more)

    def found(self, papers=None, **more):
        return diagnose(papers or Papers(desired=self.desired), [self.view(**more)])


def changed(changes):
    """A world with one award of which everything agrees, and others with one change each."""
    names = {f"HPC-{number}": change for number, change in enumerate(changes, start=1)}
    world = World([STEADY, *names])
    for name, change in names.items():
        change(world, name)
    return world, names


def verbs():
    return set(main.list_commands(click.Context(main))) | {"recover"}


@given(st.lists(st.sampled_from(list(EXPECTED)), max_size=8))
def test_each_award_is_in_the_finding_of_what_is_wrong_with_it_and_in_no_other(changes):
    world, names = changed(changes)
    found = world.found()
    assert {(finding.kind, item.name) for finding in found for item in finding.items} == {
        (EXPECTED[change], name) for name, change in names.items() if EXPECTED[change]
    }
    assert len({(finding.kind, finding.provider) for finding in found}) == len(found)
    assert sorted(found, key=lambda finding: finding.kind.severity) == found
    for finding in found:
        plain = json.loads(json.dumps(finding.to_json()))
        assert plain["between"] == [str(source) for source in finding.kind.sources]
        assert (finding.command is None) == (finding.kind is Kind.TERMINATING)
        if finding.command:
            program, verb, *options = finding.command.split()
            assert (program, verb in verbs(), options[:2]) == ("gpuprov", True, ["--provider", NAME])


@given(st.lists(st.sampled_from(list(EXPECTED)), max_size=8), st.booleans())
def test_of_another_cluster_nothing_but_that_is_said(changes, pinned):
    world, _ = changed(changes)
    if pinned:
        (finding,) = world.found(cluster=SDS.model_copy(update={"uid": "uid-2"}))
    else:
        (finding,) = world.found(observed=seen(SDS, *world.tenants.values(), uid="uid-2"))
    assert (finding.kind, finding.command) == (Kind.CLUSTER, None)
    assert "uid-2" in finding.sentence


@given(st.lists(st.sampled_from(list(EXPECTED)), max_size=8))
def test_where_the_files_are_invalid_state_and_cluster_are_compared_all_the_same(changes):
    world, names = changed(changes)
    found = world.found(Papers(problems=("awards.csv:3: wrong",)))
    assert (found[0].kind, found[0].provider, found[0].command) == (Kind.FILES, None, "gpuprov validate")
    told = {item.name for finding in found[1:] for item in finding.items}
    state = (_unknown, _older, _left, _absent, _going)
    assert told == {name for name, change in names.items() if change in state}


def test_a_state_without_anything_is_lost():
    world = World(["HPC-1"])
    for state in (StackState(stack=NAME), StackState(stack=NAME, outputs={})):
        (finding,) = world.found(states=(state,))
        assert (finding.kind, finding.command) == (Kind.LOST, f"gpuprov recover --provider {NAME}")
    assert World([]).found(states=(StackState(stack=NAME),)) == []  # nothing was ever there


@pytest.mark.parametrize("reached", [True, False])
def test_a_damaged_state_is_told_with_pulumis_words_also_where_the_cluster_is_not_read(reached):
    world = World(["HPC-1"])
    damaged = StackState(stack=NAME, damaged="unexpected end of JSON input")
    more = {} if reached else {"observed": None}
    (finding,) = world.found(states=(damaged,), **more)
    assert (finding.kind, finding.items[0].detail) == (Kind.DAMAGED, "unexpected end of JSON input")


def test_operations_that_were_not_ended_are_told():
    world = World(["HPC-1"])
    (finding,) = world.found(states=(replace(world.state, pending=("creating urn:x",)),))
    assert (finding.kind, finding.items[0].detail) == (Kind.PENDING, "creating urn:x")


def test_of_a_set_up_a_damaged_state_is_recovered_and_an_empty_one_set_up_again():
    world, stack = World(["HPC-1"]), f"{NAME}.setup"
    (damaged,) = world.found(setup=StackState(stack=stack, damaged="broken"))
    assert (damaged.kind, damaged.command) == (Kind.DAMAGED, f"gpuprov recover --provider {NAME}")
    (empty,) = world.found(setup=StackState(stack=stack, outputs={}))
    assert (empty.kind, empty.command) == (Kind.SETUP, f"gpuprov setup --provider {NAME}")
    assert world.found(setup=StackState(stack=stack)) == []  # set up with Helm, or by another project
    assert world.found(setup=StackState(stack=stack, outputs={"clusterUid": "uid-1"})) == []


def test_an_extension_that_the_cluster_does_not_know_is_told_with_when_the_term_guard_acts():
    where = SDS.model_copy(update={"chart_values": {"termGuard": {"enabled": True}}})
    world = World(["HPC-1", "HPC-2"])
    world.events = [extended("HPC-1", MARCH, JULY.date())]
    (finding,) = world.found(cluster=where)
    assert (finding.kind, [item.name for item in finding.items]) == (Kind.OUTRUN, ["HPC-1"])
    assert "2026-07-01T02:00+09:00" in finding.sentence
    (drifted,) = world.found()  # without a term guard it is a difference like others
    assert (drifted.kind, TERM_END in drifted.items[0].detail) == (Kind.DRIFTED, True)


def test_what_the_guard_wants_confirmed_is_in_the_command():
    world, _ = changed([_orphan, _orphan, _orphan])
    (finding,) = world.found()
    assert finding.command == f"gpuprov up --provider {NAME} --allow-teardown 3"


def test_locks_and_a_turn_of_a_run_that_is_gone():
    world = World(["HPC-1"])
    found = world.found(
        locks={NAME: ["lee@night-shift (process 4711)"]},
        standing=Standing(holder="kim@office (gpuprov up)", since="2026-03-01T09:00:00Z", gone=True),
    )
    assert [(finding.kind, finding.command) for finding in found] == [
        (Kind.LOCKED, f"gpuprov unlock --provider {NAME}"),
        (Kind.LEASE, f"gpuprov unlock --provider {NAME}"),
    ]
    assert "lee@night-shift" in found[0].items[0].detail
    assert "kim@office (gpuprov up)" in found[1].items[0].detail


@pytest.mark.parametrize(
    ("changes", "verb"), [([], None), ([_unknown], None), ([_forfeited], "expire"), ([_absent], "up")]
)
def test_that_a_run_left_something_undone_counts_while_there_is_something_to_do(changes, verb):
    world, _ = changed(changes)
    undone = Standing(last="kim@office (gpuprov up)", undone=True, last_good_run="2026-01-01 kim@office (gpuprov up)")
    told = [finding.command for finding in world.found(standing=undone) if finding.kind is Kind.UNDONE]
    assert told == ([f"gpuprov {verb} --provider {NAME}"] if verb else [])


def test_a_chart_that_lacks_something_and_one_of_another_version():
    world = World(["HPC-1"])
    lacking = seen(SDS, *world.tenants.values(), missing=["policy gpuprov-gpu is not there"])
    for more in ({"observed": lacking}, {"outdated": "chart version 0.1.0"}):
        (finding,) = world.found(**more)
        assert (finding.kind, finding.command) == (Kind.CHART, f"gpuprov setup --provider {NAME}")
    without = SDS.model_copy(update={"require_chart": False})
    assert world.found(cluster=without, observed=lacking) == []


def test_settings_that_the_state_does_not_have_yet():
    world = World(["HPC-1"])
    for settings in ({"shards": 2}, {"context": "other"}):
        where = SDS.model_copy(update=settings)
        found = world.found(cluster=where, states=(world.state, StackState(stack=f"{NAME}.1")))
        told = [finding for finding in found if finding.kind is Kind.SETTINGS]
        assert [finding.command for finding in told] == [f"gpuprov up --provider {NAME}"]


def test_of_the_project_everything_is_told():
    papers = Papers(
        problems=("a", "b"),
        excesses=("c",),
        departed=("d",),
        shared=("e",),
        lost=("f",),
        uncommitted="my ledger.jsonl",
        tracked=False,
    )
    found = diagnose(papers, [])
    assert [finding.kind for finding in found] == [
        Kind.FILES,
        Kind.CAPACITY,
        Kind.SHARED,
        Kind.DEPARTED,
        Kind.LEDGER,
        Kind.UNCOMMITTED,
    ]
    commit = "git commit -m 'ledger: events' -- 'my ledger.jsonl'"
    assert found[-1].command == f"git add -- 'my ledger.jsonl' && {commit}"
    assert diagnose(replace(papers, tracked=True), [])[-1].command == commit


def test_every_kind_has_two_sources():
    for kind in Kind:
        first, second = kind.sources
        assert first is not second
        assert {first, second} <= set(Source)
