"""The order in which one provider's process works, and who waits for what it could not take back."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MARCH, cluster, live, tenant

from gpuprov.core.manifests import quota_hard
from gpuprov.core.outputs import Origin
from gpuprov.kube.lease import Turn
from gpuprov.kube.leaseobject import NoLease
from gpuprov.kube.reclaim import Release
from gpuprov.run import stack as stack_process
from gpuprov.run import worker
from gpuprov.run.files import digests
from gpuprov.run.job import Job, Outcome, Reclaim, StackDone

ORIGIN = Origin(providers=("samsung-sds",), ledger={"events": 0, "sha256": ""})


def plain(tenants, *, growing=(), reclaim=(), recorded=None, shrinking=(), reconnect=False):
    """A job on a cluster with H100 and A100; every tenant and reclaim is (award, GPUs) or (award, GPUs, model)."""
    where = cluster("samsung-sds", H100=16, A100=16)
    return Job(
        root=Path("project"),
        project="gpuprov",
        at=MARCH,
        cluster=where,
        cluster_uid="uid",
        origin=ORIGIN,
        turn=6,
        tenants=tuple(tenant(name, gpus, where, *model) for name, gpus, *model in tenants),
        recorded=recorded or {},
        changed=tuple(sorted({*growing, *shrinking, *(award[0] for award in reclaim)})),
        growing=growing,
        shrinking=shrinking,
        reconnect=reconnect,
        reclaim=tuple(
            Reclaim(award_id=name, namespace=f"gpu-{name.lower()}", model=(model or ["H100"])[0], gpus=gpus)
            for name, gpus, *model in reclaim
        ),
    )


@pytest.mark.parametrize(
    ("tenants", "reclaim", "stuck", "postponed"),
    [
        ([("A", 8), ("B", 8)], [("X", 8)], [], set()),
        ([("A", 8), ("B", 8)], [("X", 8)], ["X"], {"B"}),
        ([("A", 8), ("B", 7)], [("X", 1)], ["X"], set()),
        ([("A", 8), ("B", 8)], [("X", 1), ("Y", 8)], ["X"], {"B"}),
        ([("A", 4), ("B", 4)], [("X", 4), ("Y", 4)], ["X", "Y"], set()),
        ([("A", 4), ("B", 4)], [("X", 4), ("Y", 5)], ["X", "Y"], {"B"}),
        ([("A", 8), ("B", 8)], [("X", 16, "A100")], ["X"], set()),
        ([("A", 8), ("B", 8, "A100")], [("X", 16, "A100")], ["X"], {"B"}),
        ([("A", 8), ("B", 8, "A100")], [("X", 16, "H100")], ["X"], set()),
        ([("A", 16)], [("X", 16)], ["X"], set()),  # A does not grow: it has its GPUs
        ([("A", 8), ("B", 8)], [("X", 0)], ["X"], set()),
    ],
)
def test_awards_wait_for_gpus_that_a_stuck_tenant_still_holds(tenants, reclaim, stuck, postponed, monkeypatch):
    made = plain(tenants, growing=("B",), reclaim=reclaim)
    held = {f"gpu-{award[0].lower()}": (("a pod",), award[1]) for award in reclaim if award[0] in stuck}
    assert set(run(made, monkeypatch, stuck=held)[0].postponed) == postponed


@pytest.mark.parametrize(("held", "postponed"), [(8, ()), (9, ("B",))])
def test_what_pods_hold_counts_and_not_what_the_quota_said(held, postponed, monkeypatch):
    made = plain([("B", 8)], growing=("B",), reclaim=[("X", 1)])
    assert run(made, monkeypatch, stuck={"gpu-x": (("pod",), held)})[0].postponed == postponed


@pytest.mark.parametrize(("capacity", "postponed"), [(16, set()), (15, {"B"})])
def test_the_capacity_of_the_jobs_instant_counts(capacity, postponed):
    where = cluster("samsung-sds", H100=[{"gpus": 16}, {"gpus": capacity, "from": MARCH.isoformat()}])
    made = plain([("B", 8)], growing=("B",), reclaim=[("X", 8)]).model_copy(update={"cluster": where})
    made = Job.model_validate_json(made.model_dump_json(by_alias=True))
    assert worker._postpone(made, {"H100": 8}, {}) == postponed


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=5), st.lists(st.integers(1, 8), max_size=4))
def test_what_is_granted_and_what_is_stuck_never_exceed_the_pool(tenants, stuck):
    named = [(f"T{number}", gpus) for number, (gpus, _) in enumerate(tenants)]
    growing = tuple(f"T{number}" for number, (_, grows) in enumerate(tenants) if grows)
    held = [(f"X{number}", gpus) for number, gpus in enumerate(stuck)]
    waits = worker._postpone(plain(named, growing=growing, reclaim=held), {"H100": sum(stuck)} if stuck else {}, {})
    assert waits <= set(growing)
    if set(growing) - waits and held:
        cards = [*range(16)]
        for _, gpus in named + held:
            assert len(cards) >= gpus
            del cards[:gpus]
    if not held:
        assert not waits


@pytest.mark.parametrize(
    ("stuck", "postponed", "complaint"),
    [
        ({}, set(), None),
        (
            {},
            {"B"},
            (
                "not granted until the GPUs are free that others' pods hold: B\n"
                "when the cause is gone, rerun the same command"
            ),
        ),
        (
            {"X": "pod a ends slowly", "W": "namespace"},
            set(),
            (
                "W is not reclaimed: namespace\nX is not reclaimed: pod a ends slowly\n"
                "its GPUs are not credited\nwhen the cause is gone, rerun the same command"
            ),
        ),
        (
            {"X": "pod a"},
            {"C", "B"},
            (
                "X is not reclaimed: pod a\nnot granted until the GPUs are free that others' pods hold: B, C\n"
                "its GPUs are not credited\nwhen the cause is gone, rerun the same command"
            ),
        ),
    ],
)
def test_the_complaint_names_what_is_stuck_and_who_waits(stuck, postponed, complaint):
    assert worker._complaint(stuck, postponed) == complaint


@dataclass
class Cluster:
    """Stands in for the cluster and Pulumi: keeps what was asked of them, in order."""

    stuck: dict = field(default_factory=dict)
    remains: dict = field(default_factory=dict)
    going: set = field(default_factory=set)
    asked: list = field(default_factory=list)
    declared: set = field(default_factory=set)
    turn: int = 7
    taken: Turn | None = None
    pods: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)
    without_lease: bool = False

    @contextmanager
    def take_turn(self, where, purpose, *, patience, progress, api):
        if self.without_lease:
            raise NoLease(where.provider, "forbidden")
        self.taken = Turn(provider=where.provider, number=self.turn, previous="kim@office (gpuprov up)")
        yield self.taken

    def read_back(self, where, namespaces, api):
        """Every namespace is as it was declared, unless the test says what its quota grants instead."""
        return {
            name: live(tenant(name.removeprefix("gpu-").upper(), gpus, where), where)
            for name in namespaces
            if (gpus := self.written.get(name, self.gpus[name])) is not None
        }

    def pods_on(self, where, namespaces, api):
        return {name: {"nvidia.com/gpu": gpus} for name, gpus in self.pods.items() if name in namespaces}

    def lower(self, hard):
        self.asked.append(("lower", hard))

    def release(self, namespaces):
        self.asked.append(("release", sorted(namespaces)))
        ends = {name: self.stuck.get(name, ((), 0)) for name in reversed(namespaces)}
        return [Release(namespace=name, seconds=2.0, stuck=pods, held=gpus) for name, (pods, gpus) in ends.items()]

    def settle(self, namespaces):
        return {name: "a finalizer" for name in namespaces if name in self.going}

    def delete(self, namespaces):
        if namespaces:
            self.asked.append(("delete", sorted(namespaces)))

    def up(self, what, progress):
        self.asked.append(
            ("up", None if what.changed is None else set(what.changed), sorted(what.recorded), what.refresh)
        )
        self.declared = {tenant.award_id for tenant in what.tenants}
        return StackDone(stack=what.stack, operations={"create": 6})

    def prove_gone(self, namespaces):
        self.asked.append(("prove", sorted(namespaces)))
        return self.remains


def run(made, monkeypatch, fake=None, **situation):
    fake = fake or Cluster(**situation)
    fake.gpus = {tenant.namespace: tenant.gpus for tenant in made.tenants}
    monkeypatch.setattr(worker, "KubeApi", lambda where: None)
    monkeypatch.setattr(worker, "Teardown", SimpleNamespace(on=lambda where, **given: fake))
    for name in ("take_turn", "read_back", "pods_on"):
        monkeypatch.setattr(worker, name, getattr(fake, name))
    monkeypatch.setattr(stack_process, "run", fake.up)
    return worker.run(made), fake.asked


def test_gpus_are_given_back_before_others_get_them(monkeypatch, capsys):
    made = plain(
        [("A", 8), ("B", 4)], growing=("A",), shrinking=("B",), reclaim=[("X", 8)], recorded={"X": {}, "B": {}, "Z": {}}
    )
    outcome, asked = run(made, monkeypatch)
    assert asked == [
        ("lower", {"gpu-b": quota_hard(made.tenants[1])}),
        ("release", ["gpu-x"]),
        ("delete", ["gpu-x"]),
        ("prove", ["gpu-x"]),
        ("up", {"A", "B", "X"}, ["A", "B", "Z"], False),
    ]
    assert (outcome.error, outcome.operations, outcome.stuck, outcome.postponed) == (None, {"create": 6}, {}, ())
    assert [(freed.award_id, freed.namespace, freed.gpus, freed.pods_seconds) for freed in outcome.freed] == [
        ("X", "gpu-x", 8, 2.0)
    ]
    assert (outcome.lowered, outcome.applied) == (("B",), ("A", "B", "X"))
    assert all("progress" in json.loads(line) for line in capsys.readouterr().out.splitlines())


def test_what_is_stuck_stays_in_the_state_and_whoever_needs_it_waits(monkeypatch):
    made = plain(
        [("A", 8), ("B", 8), ("S", 1)],
        growing=("A", "S"),
        reclaim=[("X", 8), ("Y", 1)],
        recorded={"X": {}, "Y": {}, "B": {}},
    )
    outcome, asked = run(made, monkeypatch, stuck={"gpu-x": (("pod a", "pod b"), 8)})
    assert asked[1:] == [("delete", ["gpu-y"]), ("prove", ["gpu-y"]), ("up", {"Y"}, ["B", "X"], False)]
    assert outcome.stuck == {"X": "pod a; pod b"}
    assert outcome.postponed == ("A", "S")
    assert outcome.error == worker._complaint(outcome.stuck, {"A", "S"})
    assert [freed.award_id for freed in outcome.freed] == ["Y"]


def test_a_namespace_that_does_not_go_is_not_made_again(monkeypatch):
    made = plain([("A", 8), ("B", 8)], growing=("A", "B"))
    outcome, asked = run(made, monkeypatch, going={"gpu-a"})
    assert [call[:3] for call in asked] == [("up", {"B"}, ["B"])]
    assert (outcome.applied, outcome.stuck) == (("B",), {"A": "namespace gpu-a: a finalizer"})
    assert "A is not reclaimed: namespace gpu-a: a finalizer" in outcome.error


def test_where_all_that_differs_is_stuck_pulumi_is_not_started(monkeypatch):
    outcome, asked = run(plain([], reclaim=[("X", 8)], recorded={"X": {}}), monkeypatch, stuck={"gpu-x": (("pod",), 8)})
    assert asked == [("release", ["gpu-x"])]
    assert (outcome.operations, outcome.freed) == ({}, ())


def test_a_namespace_that_does_not_go_is_not_credited(monkeypatch):
    made = plain([], reclaim=[("X", 8), ("Y", 8)], recorded={"X": {}, "Y": {}})
    outcome, asked = run(made, monkeypatch, remains={"gpu-y": "a finalizer"})
    assert asked[-1] == ("up", {"X"}, ["Y"], False)  # Pulumi would wait for Y
    assert [freed.award_id for freed in outcome.freed] == ["X"]
    assert outcome.stuck == {"Y": "namespace gpu-y: a finalizer"}
    assert "Y is not reclaimed: namespace gpu-y: a finalizer" in outcome.error


@pytest.mark.parametrize(
    ("tenants", "recorded", "stuck", "changed"),
    [
        ([], ["X"], {}, None),  # nothing stays: the whole stack is applied, so that role and provider go too
        ([], ["X", "Z"], {}, {"X", "Y"}),
        ([("A", 1)], ["A", "X"], {}, {"X", "Y"}),
        ([], ["X", "Y"], {"gpu-y": (("pod",), 8)}, {"X"}),
        ([], ["X"], {"gpu-y": (("pod",), 8)}, {"X"}),  # the state does not know Y, which is still there
    ],
)
def test_the_last_award_takes_the_rest_of_the_stack_with_it(tenants, recorded, stuck, changed, monkeypatch):
    made = plain(tenants, reclaim=[("X", 8), ("Y", 8)], recorded={name: {} for name in recorded})
    _, asked = run(made, monkeypatch, stuck=stuck)
    assert [call[1] for call in asked if call[0] == "up"] == [changed]


def test_a_renamed_context_reaches_every_award(monkeypatch):
    fake = Cluster()
    _, asked = run(plain([("A", 8), ("B", 8)], recorded={"A": {}, "B": {}}, reconnect=True), monkeypatch, fake)
    assert asked == [("up", None, ["A", "B"], False)]
    assert fake.declared == {"A", "B"}


@pytest.mark.parametrize("award_id", ["X", "B"])
def test_a_renamed_context_destroys_nothing_that_is_stuck_or_waits(award_id, monkeypatch):
    """X is stuck. B is there, with a quota that was lowered by hand, and waits for the GPUs that X holds."""
    made = plain([("B", 12)], growing=("B",), reclaim=[("X", 8)], recorded={"X": {}, "B": {}}, reconnect=True)
    fake = Cluster(stuck={"gpu-x": (("pod",), 8)})
    outcome, asked = run(made, monkeypatch, fake)
    assert outcome.postponed == ("B",)
    applied = [call for call in asked if call[0] == "up"]
    assert all(changed is not None or award_id in fake.declared for _, changed, _, _ in applied)
    assert all(changed is None or award_id not in changed for _, changed, _, _ in applied)


# What the decision rests on is compared before anything is done


def test_whoever_was_overtaken_while_waiting_for_the_turn_does_nothing(monkeypatch):
    made = plain([("A", 8)], growing=("A",), reclaim=[("X", 8)], recorded={"X": {}})
    fake = Cluster(turn=8)
    outcome, asked = run(made, monkeypatch, fake)
    assert asked == []
    assert fake.taken.idle  # it counts for nobody else
    assert outcome.stale == "kim@office (gpuprov up) has acted on this cluster"
    assert (outcome.applied, outcome.freed, outcome.error) == ((), (), None)


def test_files_that_changed_while_pods_ended_stop_what_would_be_granted(monkeypatch, tmp_path):
    path = tmp_path / "awards.csv"
    path.write_text("a new list")
    made = plain([("A", 8)], growing=("A",), reclaim=[("X", 8)], recorded={"X": {}})
    made = made.model_copy(update={"files": {str(path): "the digest of the old one"}})
    outcome, asked = run(made, monkeypatch)
    assert [call[0] for call in asked] == ["release", "delete", "prove"]
    assert outcome.stale == "awards.csv changed meanwhile"
    assert [freed.award_id for freed in outcome.freed] == ["X"]
    assert outcome.applied == ()
    same = made.model_copy(update={"files": digests([path])})
    assert run(same, monkeypatch)[0].stale is None


def test_a_lease_that_cannot_be_had_stops_what_grants_and_no_teardown(monkeypatch):
    outcome, _ = run(plain([], reclaim=[("X", 8)], recorded={"X": {}}), monkeypatch, without_lease=True)
    assert [freed.award_id for freed in outcome.freed] == ["X"]
    with pytest.raises(NoLease):
        run(plain([("A", 8)], growing=("A",)), monkeypatch, without_lease=True)


def test_where_the_state_cannot_be_read_gpus_come_back_all_the_same(monkeypatch):
    made = plain([("A", 8)], reclaim=[("X", 8)]).model_copy(update={"unread": "the backend is down", "changed": ()})
    assert not made.empty
    outcome, asked = run(made, monkeypatch)
    assert [call[0] for call in asked] == ["release", "delete", "prove"]
    assert [freed.award_id for freed in outcome.freed] == ["X"]
    assert outcome.error == "the backend is down"


def test_state_is_moved_only_when_gpus_are_free(monkeypatch):
    fake = Cluster()
    monkeypatch.setattr(worker.stacks, "reshard", lambda job, progress: fake.asked.append(("reshard",)))
    made = plain([("A", 8)], growing=("A",), shrinking=(), reclaim=[("X", 8)], recorded={"X": {}, "Z": {}})
    run(made.model_copy(update={"reshard": True}), monkeypatch, fake)
    assert [call[0] for call in fake.asked] == ["release", "delete", "prove", "reshard", "up"]


# GPUs are counted as held


@pytest.mark.parametrize(("pods", "postponed"), [(8, ()), (9, ("A",))])
def test_what_pods_of_a_shrinking_award_hold_once_it_is_lowered_is_not_granted(pods, postponed, monkeypatch):
    """B goes from 16 to 8 GPUs, A wants the other 8 of the pool's 16."""
    made = plain([("A", 8), ("B", 8)], growing=("A",), shrinking=("B",), recorded={"B": {}})
    outcome, _ = run(made, monkeypatch, pods={"gpu-b": pods})
    assert outcome.postponed == postponed
    assert bool(outcome.error) == bool(postponed)


@pytest.mark.parametrize(("over", "postponed"), [(8, ()), (9, ("A",))])
def test_what_others_hold_beyond_their_awards_is_not_granted(over, postponed, monkeypatch):
    made = plain([("A", 8)], growing=("A",)).model_copy(update={"over": {"H100": over}})
    assert run(made, monkeypatch)[0].postponed == postponed


# What is reported as applied was read back


@pytest.mark.parametrize(("gpus", "said"), [(None, "its namespace is not there"), (4, "its quota grants 4")])
def test_what_is_not_as_it_was_written_is_not_reported_as_applied(gpus, said, monkeypatch):
    made = plain([("A", 8), ("B", 8)], growing=("A", "B"))
    outcome, _ = run(made, monkeypatch, written={"gpu-b": gpus})
    assert outcome.applied == ("A",)
    assert outcome.error == f"B: Pulumi reported success, and {said}; rerun the command"


def test_two_rounds_of_one_command_are_reported_together():
    first = Outcome(provider="a", applied=("A",), operations={"create": 6}, seconds=1.0, stale="somebody", error="one")
    second = Outcome(provider="a", applied=("B",), operations={"create": 6, "same": 1}, seconds=2.0)
    both = first.then(second)
    assert (both.applied, both.operations, both.seconds) == (("A", "B"), {"create": 12, "same": 1}, 3.0)
    assert (both.stale, both.error) == (None, None)
