"""Jobs from a plan, the order in which one provider's process works, the clock, and errors to exit codes."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MARCH, award, cluster, desired, forfeited, live, reduced, seen, tenant

from gpuprov.award import SEOUL
from gpuprov.cli.common import Exit, Instant, error_json, error_text, exit_code
from gpuprov.errors import (
    ClusterUnreachable,
    EngineError,
    GpuprovError,
    InputError,
    NotReclaimed,
    PlanRefused,
    Problem,
)
from gpuprov.manifests import quota_hard
from gpuprov.outputs import StackOutputs, summary
from gpuprov.plan import make_plan
from gpuprov.project import Project
from gpuprov.reclaim import Release
from gpuprov.run import stack as stack_process
from gpuprov.run import worker
from gpuprov.run.apply import make_jobs
from gpuprov.run.clock import instant, now
from gpuprov.run.job import Job, Reclaim, StackDone
from gpuprov.run.pipeline import Situation, select

SDS = cluster("samsung-sds", H100=200, A100=80)
KT = cluster("kt-cloud", H200=400)
PROJECT = Project(
    root=Path("project"), name="gpuprov", clusters=(SDS, KT), awards=(), ledger=Path("ledger"), columns=None
)
SAME = object()


def situation(awards, there, *, said=SAME, events=(), before=(), context="samsung-sds"):
    """A situation on samsung-sds. ``said``: the awards and GPUs of the last outputs, all that is desired if not given.

    ``before`` and ``context``: the cluster's UID and the context that the stack knows.
    """
    state = desired(awards, (SDS, KT), MARCH, events)
    told = summary(state.tenants if said is SAME else [tenant(name, gpus, SDS) for name, gpus in said.items()])
    observed = (seen(SDS, *there, uid="uid-1"),)
    outputs = StackOutputs(
        cluster_uid=before[0] if before else "uid-1",
        context=context,
        stacks=("samsung-sds",),
        tenants=json.loads(json.dumps(told)),
    )
    return Situation(
        project=PROJECT,
        desired=state,
        observed=observed,
        outputs={"samsung-sds": outputs},
        plan=make_plan(state, observed, PROJECT.by_provider),
    )


def job(*args, only=None, accept=(), **kwargs):
    (made,) = make_jobs(situation(*args, **kwargs), timeout=1.0, only=only, accept=accept)
    return made


def here(award_id, gpus=8, used=0):
    return live(tenant(award_id, gpus, SDS), SDS, used)


A, B, C = award("A"), award("B"), award("C")


def test_where_nothing_differs_there_is_nothing_to_do():
    made = job([A, B], [here("A"), here("B")])
    assert (made.empty, made.touch, made.grow, made.lower, made.reclaim, made.refresh) == (True, (), (), (), (), False)


def test_a_job_knows_its_cluster_and_its_tenants():
    made = job([A, B], [here("A")], said={"A": 8})
    assert (made.root, made.project, made.cluster, made.timeout) == (Path("project"), "gpuprov", SDS, 1.0)
    assert made.cluster_uid == "uid-1"
    assert [one.award_id for one in made.tenants] == ["A", "B"]
    assert set(made.told) == {"A"}


def test_new_awards_grow_and_need_no_refresh():
    made = job([A, B], [here("A")], said={"A": 8})
    assert (made.touch, made.grow, made.lower, made.reclaim, made.refresh) == (("B",), ("B",), (), (), False)


def test_an_award_whose_namespace_was_deleted_by_hand_needs_a_refresh():
    made = job([A], [])
    assert (made.touch, made.grow, made.refresh) == (("A",), ("A",), True)


def test_a_reduced_award_is_lowered():
    made = job([A], [here("A")], said={"A": 8}, events=[reduced("A", MARCH, 3)])
    assert (made.touch, made.grow, made.lower, made.reclaim, made.refresh) == (("A",), (), ("A",), (), True)


def test_a_quota_that_was_raised_by_hand_is_lowered_and_a_lowered_one_grows():
    assert job([A], [here("A", 80)]).lower == ("A",)
    assert job([A], [here("A", 2)]).grow == ("A",)


def test_drift_beside_the_quota_neither_grows_nor_shrinks():
    one = here("A")
    objects = {key: value for key, value in one.objects.items() if key[0] != "NetworkPolicy"}
    made = job([A], [type(one)(namespace=one.namespace, objects=objects)])
    assert (made.touch, made.grow, made.lower, made.refresh) == (("A",), (), (), True)


def test_a_forfeited_award_is_reclaimed_with_what_its_quota_grants():
    made = job([A, B], [here("A", 5), here("B")], said={"A": 8, "B": 8}, events=[forfeited("A", MARCH)])
    assert made.reclaim == (Reclaim(award_id="A", namespace="gpu-a", model="H100", gpus=5),)
    assert (made.touch, made.grow, made.lower, made.refresh) == (("A",), (), (), False)


def test_a_namespace_that_the_state_does_not_know_needs_a_refresh_before_it_is_reclaimed():
    made = job([], [here("A")], said={})
    assert (made.touch, [one.award_id for one in made.reclaim], made.refresh) == (("A",), ["A"], True)


@pytest.mark.parametrize(
    ("said", "touch"),
    [
        ({"A": 8, "B": 8}, ()),
        ({}, ("A", "B")),  # killed before it could write its outputs
        ({"A": 8}, ("B",)),
        ({"A": 8, "B": 4}, ("B",)),
        ({"A": 8, "B": 8, "C": 8}, ("C",)),  # gone from the cluster, not from the state
        ({"C": 8}, ("A", "B", "C")),
    ],
)
def test_outputs_that_say_otherwise_are_made_good(said, touch):
    made = job([A, B], [here("A"), here("B")], said=said)
    assert (made.touch, made.grow, made.lower, made.reclaim) == (touch, (), (), ())
    assert made.told.keys() == said.keys()


def test_outputs_of_another_term_or_model_are_otherwise():
    outputs = summary([tenant("A", 8, SDS, "A100"), tenant("B", 8, SDS, term_end=MARCH)])
    made = situation([A, B, C], [here("A"), here("B"), here("C")])
    told = {**made.outputs["samsung-sds"].tenants, **outputs}
    made.outputs["samsung-sds"] = StackOutputs(cluster_uid="uid-1", context="samsung-sds", tenants=told)
    assert make_jobs(made, timeout=1)[0].touch == ("A", "B")


def test_a_job_may_be_limited_to_some_awards():
    there = [here("B"), here("C", 8), here("D", 16)]
    listed, said = [A, B, C], {"B": 4, "C": 8, "D": 16}
    events = [reduced("C", MARCH, 2)]
    whole = job(listed, there, said=said, events=events)
    assert (whole.touch, whole.grow, whole.lower) == (("A", "B", "C", "D"), ("A",), ("C",))
    assert [one.award_id for one in whole.reclaim] == ["D"]
    for name in "ABCD":
        part = job(listed, there, said=said, events=events, only=[name])
        assert part.touch == (name,)
        assert part.grow == tuple(one for one in whole.grow if one == name)
        assert part.lower == tuple(one for one in whole.lower if one == name)
        assert part.reclaim == tuple(one for one in whole.reclaim if one.award_id == name)
        assert (part.tenants, part.told) == (whole.tenants, whole.told)
    assert job(listed, there, said=said, events=events, only=["X"]).empty
    assert job(listed, there, said=said, events=events, only=["A"]).refresh is False
    assert job(listed, there, said=said, events=events, only=["C"]).refresh is True


@pytest.mark.parametrize(
    ("before", "accept", "touch"),
    [
        ("uid-1", ["samsung-sds"], ()),
        (None, ["samsung-sds"], ()),  # never applied before: nothing was replaced
        ("old", [], ()),
        ("old", ["kt-cloud"], ()),
        ("old", ["samsung-sds"], ("A", "B")),
    ],
)
def test_everything_is_looked_at_again_on_a_replaced_cluster(before, accept, touch):
    made = job([A, B], [here("A"), here("B")], before=[before], accept=accept)
    assert (made.touch, made.refresh, made.cluster_uid) == (touch, bool(touch), "uid-1")


def test_a_renamed_context_is_written_even_where_nothing_else_differs():
    made = job([A, B], [here("A"), here("B")], context="old")
    assert (made.empty, made.reconnect, made.touch) == (False, True, ())
    for other in (
        job([A, B], [here("A"), here("B")]),
        job([A, B], [here("A"), here("B")], context="old", only=["A"]),
        job([A], [], said={}, context=None),  # the first run has no context to change
    ):
        assert not other.reconnect


def test_each_observed_provider_gets_a_job_of_its_own():
    listed = [A, award("K", 8, "H200", provider="kt-cloud")]
    state = desired(listed, (SDS, KT))
    observed = (seen(KT), seen(SDS))
    whole = Situation(
        project=PROJECT,
        desired=state,
        observed=observed,
        outputs={"samsung-sds": StackOutputs(), "kt-cloud": StackOutputs()},
        plan=make_plan(state, observed, PROJECT.by_provider),
    )
    jobs = make_jobs(whole, timeout=1)
    assert [(one.cluster.provider, one.touch) for one in jobs] == [("kt-cloud", ("K",)), ("samsung-sds", ("A",))]


# The process of one provider.


def plain(tenants, *, grow=(), reclaim=(), told=None, lower=(), reconnect=False):
    """A job on a cluster with H100 and A100; every tenant and reclaim is (award, GPUs) or (award, GPUs, model)."""
    where = cluster("samsung-sds", H100=16, A100=16)
    return Job(
        root=Path("project"),
        project="gpuprov",
        cluster=where,
        cluster_uid="uid",
        tenants=tuple(tenant(name, gpus, where, *model) for name, gpus, *model in tenants),
        told=told or {},
        touch=tuple(sorted({*grow, *lower, *(one[0] for one in reclaim)})),
        grow=grow,
        lower=lower,
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
    made = plain(tenants, grow=("B",), reclaim=reclaim)
    held = {f"gpu-{one[0].lower()}": (("a pod",), one[1]) for one in reclaim if one[0] in stuck}
    assert set(run(made, monkeypatch, stuck=held)[0].postponed) == postponed


@pytest.mark.parametrize(("held", "postponed"), [(8, ()), (9, ("B",))])
def test_what_pods_hold_counts_and_not_what_the_quota_said(held, postponed, monkeypatch):
    made = plain([("B", 8)], grow=("B",), reclaim=[("X", 1)])
    assert run(made, monkeypatch, stuck={"gpu-x": (("pod",), held)})[0].postponed == postponed


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=5), st.lists(st.integers(1, 8), max_size=4))
def test_what_is_granted_and_what_is_stuck_never_exceed_the_pool(tenants, stuck):
    named = [(f"T{number}", gpus) for number, (gpus, _) in enumerate(tenants)]
    grow = tuple(f"T{number}" for number, (_, grows) in enumerate(tenants) if grows)
    held = [(f"X{number}", gpus) for number, gpus in enumerate(stuck)]
    waits = worker._postpone(plain(named, grow=grow, reclaim=held), {"H100": sum(stuck)} if stuck else {})
    assert waits <= set(grow)
    if set(grow) - waits and held:
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
        ({}, {"B"}, None),
        (
            {"X": "pod a ends slowly", "W": "namespace"},
            set(),
            (
                "W is not reclaimed: namespace\nX is not reclaimed: pod a ends slowly\n"
                "its GPUs are not credited; when the cause is gone, give the same command again"
            ),
        ),
        (
            {"X": "pod a"},
            {"C", "B"},
            (
                "X is not reclaimed: pod a\nnot granted until then: B, C\n"
                "its GPUs are not credited; when the cause is gone, give the same command again"
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

    def lower(self, where, hard):
        self.asked.append(("lower", hard))

    def release(self, where, namespaces, *, timeout, progress):
        self.asked.append(("release", sorted(namespaces)))
        ends = {name: self.stuck.get(name, ((), 0)) for name in reversed(namespaces)}
        return [Release(namespace=name, seconds=2.0, stuck=pods, held=gpus) for name, (pods, gpus) in ends.items()]

    def settle(self, where, namespaces, *, timeout, progress):
        return {name: "a finalizer" for name in namespaces if name in self.going}

    def delete(self, where, namespaces):
        if namespaces:
            self.asked.append(("delete", sorted(namespaces)))

    def up(self, what, progress):
        self.asked.append(("up", None if what.touch is None else set(what.touch), sorted(what.told), what.refresh))
        self.declared = {one.award_id for one in what.tenants}
        return StackDone(stack=what.stack, operations={"create": 6})

    def prove_gone(self, where, namespaces, *, timeout, progress):
        self.asked.append(("prove", sorted(namespaces)))
        return self.remains


def run(made, monkeypatch, fake=None, **there):
    fake = fake or Cluster(**there)
    for name in ("lower", "release", "delete", "settle", "prove_gone"):
        monkeypatch.setattr(worker.reclaim, name, getattr(fake, name))
    monkeypatch.setattr(stack_process, "run", fake.up)
    return worker.run(made), fake.asked


def test_gpus_are_given_back_before_others_get_them(monkeypatch, capsys):
    made = plain([("A", 8), ("B", 4)], grow=("A",), lower=("B",), reclaim=[("X", 8)], told={"X": {}, "B": {}, "Z": {}})
    outcome, asked = run(made, monkeypatch)
    assert asked == [
        ("lower", {"gpu-b": quota_hard(made.tenants[1], made.cluster)}),
        ("release", ["gpu-x"]),
        ("delete", ["gpu-x"]),
        ("prove", ["gpu-x"]),
        ("up", {"A", "B", "X"}, ["A", "B", "Z"], False),
    ]
    assert (outcome.error, outcome.operations, outcome.stuck, outcome.postponed) == (None, {"create": 6}, {}, ())
    assert [(one.award_id, one.namespace, one.gpus, one.pods_seconds) for one in outcome.freed] == [
        ("X", "gpu-x", 8, 2.0)
    ]
    assert outcome.applied == ("A", "B", "X")
    assert all("progress" in json.loads(line) for line in capsys.readouterr().out.splitlines())


def test_what_is_stuck_stays_in_the_state_and_whoever_needs_it_waits(monkeypatch):
    made = plain(
        [("A", 8), ("B", 8), ("S", 1)], grow=("A", "S"), reclaim=[("X", 8), ("Y", 1)], told={"X": {}, "Y": {}, "B": {}}
    )
    outcome, asked = run(made, monkeypatch, stuck={"gpu-x": (("pod a", "pod b"), 8)})
    assert asked[1:] == [("delete", ["gpu-y"]), ("prove", ["gpu-y"]), ("up", {"Y"}, ["B", "X"], False)]
    assert outcome.stuck == {"X": "pod a; pod b"}
    assert outcome.postponed == ("A", "S")
    assert outcome.error == worker._complaint(outcome.stuck, {"A", "S"})
    assert [one.award_id for one in outcome.freed] == ["Y"]


def test_a_namespace_that_does_not_go_is_not_made_again(monkeypatch):
    made = plain([("A", 8), ("B", 8)], grow=("A", "B"))
    outcome, asked = run(made, monkeypatch, going={"gpu-a"})
    assert [one[:3] for one in asked] == [("up", {"B"}, ["B"])]
    assert (outcome.applied, outcome.stuck) == (("B",), {"A": "namespace gpu-a: a finalizer"})
    assert "A is not reclaimed: namespace gpu-a: a finalizer" in outcome.error


def test_where_all_that_differs_is_stuck_pulumi_is_not_started(monkeypatch):
    outcome, asked = run(plain([], reclaim=[("X", 8)], told={"X": {}}), monkeypatch, stuck={"gpu-x": (("pod",), 8)})
    assert asked == [("release", ["gpu-x"])]
    assert (outcome.operations, outcome.freed) == ({}, ())


def test_a_namespace_that_does_not_go_is_not_credited(monkeypatch):
    made = plain([], reclaim=[("X", 8), ("Y", 8)], told={"X": {}, "Y": {}})
    outcome, asked = run(made, monkeypatch, remains={"gpu-y": "a finalizer"})
    assert asked[-1] == ("up", {"X"}, ["Y"], False)  # Pulumi would wait for Y
    assert [one.award_id for one in outcome.freed] == ["X"]
    assert outcome.stuck == {"Y": "namespace gpu-y: a finalizer"}
    assert "Y is not reclaimed: namespace gpu-y: a finalizer" in outcome.error


@pytest.mark.parametrize(
    ("tenants", "told", "stuck", "touch"),
    [
        ([], ["X"], {}, None),  # nothing stays: the whole stack is applied, so that role and provider go too
        ([], ["X", "Z"], {}, {"X", "Y"}),
        ([("A", 1)], ["A", "X"], {}, {"X", "Y"}),
        ([], ["X", "Y"], {"gpu-y": (("pod",), 8)}, {"X"}),
        ([], ["X"], {"gpu-y": (("pod",), 8)}, {"X"}),  # the state does not know Y, which is still there
    ],
)
def test_the_last_award_takes_the_rest_of_the_stack_with_it(tenants, told, stuck, touch, monkeypatch):
    made = plain(tenants, reclaim=[("X", 8), ("Y", 8)], told={name: {} for name in told})
    _, asked = run(made, monkeypatch, stuck=stuck)
    assert [one[1] for one in asked if one[0] == "up"] == [touch]


def test_a_renamed_context_reaches_every_award(monkeypatch):
    fake = Cluster()
    _, asked = run(plain([("A", 8), ("B", 8)], told={"A": {}, "B": {}}, reconnect=True), monkeypatch, fake)
    assert asked == [("up", None, ["A", "B"], False)]
    assert fake.declared == {"A", "B"}


@pytest.mark.parametrize("award_id", ["X", "B"])
def test_a_renamed_context_destroys_nothing_that_is_stuck_or_waits(award_id, monkeypatch):
    """X is stuck. B is there, with a quota that was lowered by hand, and waits for the GPUs that X holds."""
    made = plain([("B", 12)], grow=("B",), reclaim=[("X", 8)], told={"X": {}, "B": {}}, reconnect=True)
    fake = Cluster(stuck={"gpu-x": (("pod",), 8)})
    outcome, asked = run(made, monkeypatch, fake)
    assert outcome.postponed == ("B",)
    applied = [one for one in asked if one[0] == "up"]
    assert all(touch is not None or award_id in fake.declared for _, touch, _, _ in applied)
    assert all(touch is None or award_id not in touch for _, touch, _, _ in applied)


# The clock.


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-07-01T00:00:00+09:00", "2026-06-30T15:00:00+00:00"),
        ("2026-07-01T00:00", "2026-06-30T15:00:00+00:00"),
        ("2026-07-01", "2026-06-30T15:00:00+00:00"),
        ("2026-06-30T23:59:59.999999", "2026-06-30T14:59:59.999999+00:00"),
        ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00+00:00"),
    ],
)
def test_an_instant_without_offset_is_korean(text, utc):
    for at in (instant(text), Instant().convert(text, None, None)):
        assert at == datetime.fromisoformat(utc)
        assert at.tzinfo is not None


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-06-31", "30.06.2026", "1782831600"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(InputError) as caught:
        instant(text)
    assert caught.value.problems[0].value == text
    with pytest.raises(click.BadParameter, match="is no instant"):
        Instant().convert(text, None, None)


@pytest.mark.parametrize("text", [None, ""])
def test_no_instant_is_now(text):
    before = datetime.now(UTC)
    assert before <= instant(text) <= datetime.now(UTC)
    assert now().utcoffset() == timedelta(hours=9)


def test_an_instant_that_was_read_stays_as_it_is():
    at = datetime(2026, 7, 1, tzinfo=SEOUL)
    assert Instant().convert(at, None, None) is at


# What the commands share.

PROBLEM = Problem(file="a.csv", row=3, column="유형", value="4", message="is no track", remedy="write 1 or 2")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError([PROBLEM]), 1),
        (EngineError("no"), 1),
        (PlanRefused(["no"]), 4),
        (ClusterUnreachable("kt-cloud", "no answer"), 5),
        (NotReclaimed("kt-cloud", "still there"), 5),
        (GpuprovError("no"), 1),
    ],
)
def test_exit_codes_of_errors(error, code):
    assert exit_code(error) == code
    assert error_json(error)["error"] == type(error).__name__
    assert json.loads(json.dumps(error_json(error)))["message"] == str(error)


def test_exit_codes_are_the_promised_ones():
    assert {one.name: one.value for one in Exit} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "CHANGES_PENDING": 3,
        "REFUSED": 4,
        "SOME_CLUSTERS_FAILED": 5,
        "INTERRUPTED": 130,
    }


def test_errors_as_text_and_as_data():
    assert str(PROBLEM) == "a.csv:3 [유형] '4': is no track; write 1 or 2"
    assert error_text(InputError([PROBLEM])) == f"error: {PROBLEM}"
    assert error_text(InputError([PROBLEM, PROBLEM])).endswith("\n2 problems, nothing was changed")
    assert error_text(PlanRefused(["a", "b"])) == "refused, nothing was changed:\n  - a\n  - b"
    assert error_json(PlanRefused(["a", "b"]))["reasons"] == ["a", "b"]
    assert error_json(InputError([PROBLEM]))["problems"] == [
        {"file": "a.csv", "row": 3, "column": "유형", "value": "4", "message": "is no track", "remedy": "write 1 or 2"}
    ]


def test_providers_are_selected_in_the_order_of_the_project():
    assert select([SDS, KT], []) == ["samsung-sds", "kt-cloud"]
    assert select([SDS, KT], ["kt-cloud", "samsung-sds", "kt-cloud"]) == ["samsung-sds", "kt-cloud"]
    with pytest.raises(InputError) as caught:
        select([SDS, KT], ["kt-cloud", "x", "y"])
    assert [one.value for one in caught.value.problems] == ["x", "y"]


# Several stacks for one provider.

SPLIT = SDS.model_copy(update={"shards": 3})
MANY = [f"A{number}" for number in range(30)]


def in_stack(stack):
    return [name for name in MANY if SPLIT.stack_of(name) == stack]


def split_job(tenants, *, reclaim=(), told=None, **fields):
    touch = sorted({*tenants, *reclaim} if fields.get("touch") is None else fields.pop("touch"))
    return Job(
        root=Path("project"),
        project="gpuprov",
        cluster=SPLIT,
        cluster_uid="uid",
        tenants=tuple(tenant(name, 1, SPLIT) for name in tenants),
        told={name: {} for name in (told or ())},
        touch=tuple(touch),
        stacks=("samsung-sds", "samsung-sds.1"),
        reclaim=tuple(Reclaim(award_id=n, namespace=f"gpu-{n.lower()}", model="H100", gpus=1) for n in reclaim),
        **fields,
    )


def stack_runs(job, stuck=(), postponed=()):
    touch = set(job.touch) - set(stuck) - set(postponed)
    return {s: worker._stack_run(job, s, touch, set(stuck), set(postponed)) for s in job.cluster.stacks}


def test_each_stack_gets_its_own_awards():
    made = stack_runs(split_job(MANY))
    assert {stack: [one.award_id for one in run.tenants] for stack, run in made.items()} == {
        stack: in_stack(stack) for stack in SPLIT.stacks
    }
    assert {stack: run.exists for stack, run in made.items()} == {
        "samsung-sds": True,
        "samsung-sds.1": True,
        "samsung-sds.2": False,
    }
    for stack, run in made.items():
        assert (run.touch, run.told.keys()) == (None, set(in_stack(stack)))


def test_only_stacks_whose_awards_differ_are_run():
    (changed,) = in_stack("samsung-sds.1")[:1]
    made = stack_runs(split_job(MANY, told=MANY, touch=[changed]))
    assert [stack for stack, run in made.items() if run] == ["samsung-sds.1"]
    assert made["samsung-sds.1"].touch == (changed,)
    assert made["samsung-sds.1"].told.keys() == set(in_stack("samsung-sds.1"))


def test_the_last_award_of_a_stack_takes_all_of_it():
    last = in_stack("samsung-sds.2")[0]
    made = stack_runs(split_job([], reclaim=[last], told=[last]))
    assert {stack: run.touch for stack, run in made.items() if run} == {"samsung-sds.2": None}
    other = in_stack("samsung-sds.1")[0]
    stays = stack_runs(split_job([other], reclaim=[last], told=[last, other], touch=[last]))
    assert [stack for stack, run in stays.items() if run] == ["samsung-sds.2"]


def test_a_stuck_award_keeps_its_stack():
    stuck, gone = in_stack("samsung-sds.1")[0], in_stack("samsung-sds.2")[0]
    made = stack_runs(split_job([], reclaim=[stuck, gone], told=[stuck, gone]), stuck=[stuck])
    assert [stack for stack, run in made.items() if run] == ["samsung-sds.2"]


@pytest.mark.parametrize(
    ("said", "reshard"),
    [
        (StackOutputs(), False),
        (StackOutputs(shards=3, tenants={"A": {}}), True),
        (StackOutputs(shards=1, tenants={"A": {}}), False),
        (StackOutputs(shards=1, tenants={"A": {}}, misplaced=1), True),
        (StackOutputs(shards=3), False),  # nothing is there to be moved
    ],
)
def test_state_is_moved_where_the_number_of_stacks_or_an_awards_place_differs(said, reshard):
    made = situation([A], [here("A")])
    made.outputs["samsung-sds"] = said
    assert make_jobs(made, timeout=1)[0].reshard is reshard
