"""Two operators at once: whatever the order of their steps, nothing is lost, taken unseen, or granted twice."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st
from operator_runs import CAPACITY, STACK, WHERE, Act, Command, Folder, Row
from strategies import MARCH, SEOUL
from two_operators import World

from gpuprov.core.naming import namespace
from gpuprov.load.ledgerfile import read_ledger
from gpuprov.load.project import open_project
from gpuprov.run import loading

AWARDS = "ABCDE"
FEBRUARY = "2026-02-28"
BEFORE = datetime(2026, 2, 1, tzinfo=SEOUL)

_PROJECT = {"name": "gpuprov", "main": "stacks", "stackConfigDir": "stacks"}
_PROJECT |= {"config": {"awards": {"default": ["awards.csv"]}, "ledger": {"default": "ledger.jsonl"}}}


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Two projects on one cluster; their settings are never changed, so they are read once."""
    made = []
    for name in ("office", "night-shift"):
        root = tmp_path_factory.mktemp(name)
        (root / "stacks").mkdir()
        (root / "Pulumi.yaml").write_text(yaml.safe_dump(_PROJECT))
        config = WHERE.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"provider"})
        (root / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": {"gpuprov:cluster": config}}))
        made.append(open_project(root))
    assert made[0].clusters == (WHERE,)
    return made


@contextmanager
def world(projects, rows, *, shared=False):
    """A world in which the awards of the list are granted, and both folders have that list."""
    folders = [Folder(project.root, project) for project in projects]
    for folder in folders:
        folder.write(rows)
        folder.project.ledger.unlink(missing_ok=True)
    made = World(folders, shared=shared)
    with pytest.MonkeyPatch.context() as patch:
        made.patch(patch)
        (ran,) = made.play([Command("up", BEFORE)], [])
        made.insist(ran.result == "done", "the first `up`")
        yield made


def is_so(made, folder, at):
    """Tell what is not as the folder's files want it, and whether anything is left to do."""
    loaded = loading.load(made.folders[folder].project)
    desired = loaded.desired(at)
    should = {tenant.namespace: tenant.gpus for tenant in desired.tenants}
    has = {name: space.hard for name, space in made.cluster.spaces.items()}
    return should == has, f"should be {should} and is {has}"


def finish(made, folder, at):
    """Give one more `up`, alone: all that is desired is there, unless it is said why not. Return how that ended."""
    (ran,) = made.play([Command("up", at, folder=folder)], [], name="Z")
    if ran.result == "done":
        made.insist(*is_so(made, folder, at))
        (again,) = made.play([Command("up", at, folder=folder)], [], name="Z")
        made.insist(again.result == "done" and made.nothing_was_done(), "a second `up` finds something to do")
    elif ran.result.startswith("PlanRefused"):
        made.insist(too_much(made, folder, at), f"refused without a cause: {ran.result}")
    else:
        held = any(space.pods or space.sticky for space in made.cluster.spaces.values())
        made.insist(held, f"not done without a cause: {ran.result}")
        for outcome in ran.outcomes:
            made.insist(outcome.stuck or outcome.postponed, f"not done, and nothing is stuck or waits: {ran.result}")
    return ran.result


def too_much(made, folder, at):
    """Tell whether the list asks for more than there is, now or later, counting what pods hold."""
    loaded = loading.load(made.folders[folder].project)
    if any(excess.end > at for excess in loaded.excesses):
        return True
    held = [max(tenant.gpus, made.cluster.by_pods(tenant.namespace)) for tenant in loaded.desired(at).tenants]
    return sum(held) > CAPACITY


def filled(rows, award_id):
    """Let one more award take what is left of the pool."""
    left = CAPACITY - sum(row.gpus for row in rows if row.status == "selected")
    return (*rows, Row(award_id, min(4, left))) if left > 0 else rows


CHANGES = st.sampled_from(("same", "same", "gpus", "gpus", "drop", "waitlisted", "forfeited", "term"))


@st.composite
def lists(draw, start=()):
    """A list that comes from another by some changes."""
    rows = []
    by_id = {row.award_id: row for row in start}
    for award_id in AWARDS:
        change, row = draw(CHANGES), by_id.get(award_id)
        if change == "gpus":
            rows.append(Row(award_id, draw(st.integers(1, 4))))
        elif row is not None and change == "same":
            rows.append(row)
        elif row is not None and change == "term":
            rows.append(replace(row, last_day=FEBRUARY))
        elif row is not None and change != "drop":
            rows.append(replace(row, status=change))
    return tuple(rows) or (Row("A", 1),)


def fitting(rows):
    """Return the first rows, as many as fit into the pool."""
    while sum(row.gpus for row in rows if row.status == "selected") > CAPACITY:
        rows = rows[:-1]
    return rows


def commands(rows):
    """Any command on awards of a list."""
    return st.builds(
        Command,
        st.sampled_from(
            ("up", "up", "up", "up", "up", "forfeit", "forfeit", "reduce", "expire", "hand", "watch", "watch --apply")
        ),
        st.sampled_from((MARCH, MARCH, MARCH, MARCH, BEFORE)),
        award_id=st.sampled_from(sorted({row.award_id for row in rows})),
        gpus=st.integers(1, 3),
        folder=st.integers(0, 1),
        asks=st.booleans(),
        masses=st.sampled_from((True, True, True, True, False)),
    )


def acts(later):
    """What happens meanwhile: pods, finalizers, and lists that are edited."""
    kinds = st.sampled_from(("pod", "pod", "pod", "end", "go", "stick"))
    others = st.builds(Act, kinds, st.sampled_from(AWARDS), st.integers(1, 3), st.sampled_from((False, False, True)))
    return st.one_of(others, others, st.builds(Act, st.just("list"), folder=st.integers(0, 1), rows=later))


STOPS = (
    "has read the Lease",
    "has observed the cluster",
    "is asked",
    "is about to write to the ledger",
    "asks for the turn",
    "has the turn",
    "waits for pods",
    "starts Pulumi",
    "saves the state",
    "has given the turn back",
    "",
)
"""Where one of two may stop and let the other go on; it never says the last, so that it goes on to its end."""


@st.composite
def stories(draw):
    """What there is at first, what two operators do, in which order, and what happens meanwhile."""
    quantities = draw(st.lists(st.integers(1, 4), min_size=1, max_size=len(AWARDS)))
    start = fitting(tuple(Row(award_id, gpus) for award_id, gpus in zip(AWARDS, quantities, strict=False)))
    fit = lists(start).map(fitting)
    full = st.builds(filled, st.one_of(st.just(start), fit), st.sampled_from("FG"))
    later = st.one_of(full, full, full, fit, lists(start), st.just(start))
    before = draw(st.lists(acts(later), max_size=5))
    first, second = draw(commands(start)), draw(commands(start))
    second = replace(second, folder=1 - first.folder if draw(st.booleans()) else first.folder)
    if draw(st.booleans()):
        second = replace(second, award_id=first.award_id)
    steps = st.tuples(
        st.one_of(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), acts(later)), st.integers(1, 12)
    )
    schedule = draw(st.lists(steps, min_size=6, max_size=24))
    return Story(
        start, before, (draw(later), draw(later)), (first, second), schedule, draw(st.booleans()), first.folder
    )


@dataclass(frozen=True)
class Story:
    """One example: ``shared`` is one state for both folders, ``last`` the folder of whoever works alone in the end."""

    start: tuple[Row, ...]
    before: list[Act]
    lists: tuple[tuple[Row, ...], ...]
    commands: tuple[Command, Command]
    schedule: list[tuple[int | Act, int]]
    shared: bool
    last: int


@settings(max_examples=250, print_blob=True)
@given(stories())
def test_whatever_the_order_of_their_steps_two_operators_do_no_harm(projects, told):
    with world(projects, told.start, shared=told.shared) as made:
        for folder, rows in zip(made.folders, told.lists, strict=True):
            folder.write(rows)
        made.play([], [(act, 1) for act in told.before])
        runs = made.play(told.commands, told.schedule)
        for run in runs:
            event(f"{run.command.kind}: {run.result.partition(':')[0][:30]}")
        event(f"decided again: {sum('deciding again' in line for line in made.history)}")
        result = finish(made, told.last, max(command.at for command in told.commands))
        event(f"the last up: {result[:20]}")


# Some orders of steps, by hand


def test_two_that_overtake_each_other_come_to_an_end(projects):
    """Each of them has turns only to find that the other has had one: that must not go on for ever."""
    with world(projects, (Row("A", 1), Row("B", 1))) as made:
        made.folders[0].write((Row("A", 1, status="forfeited"), Row("B", 1)))
        first = [(0, "has the turn"), (1, "has written to the ledger"), (0, "has given the turn back")]
        again = [
            (who, says) for who in (1, 0) for says in ("has the turn", "has given the turn back", "has read the Lease")
        ]
        order = [*first, (1, "has the turn"), (0, "has read the Lease"), *again[1:], *again * 6]
        runs = made.play((Command("up", MARCH), Command("forfeit", MARCH, award_id="B")), order)
        made.insist([run.result for run in runs] == ["done", "done"], f"{[run.result for run in runs]}")
        assert made.cluster.spaces == {}


def test_what_a_command_did_before_it_was_refused_is_reported(projects):
    """The list is changed while pods end, and asks for more than there is: what came back by then did come back."""
    with world(projects, (Row("A", 4), Row("B", 1))) as made:
        made.folders[0].write((Row("B", 1),))
        change = Act("list", rows=(Row("B", 4), Row("C", 4), Row("D", 4)))
        (run,) = made.play([Command("up", MARCH)], [(0, "has closed gpu-a"), (change, 1)])
        made.insist([freed.award_id for outcome in run.outcomes for freed in outcome.freed] == ["A"], run.result)
        made.insist("12 GPUs allocated of 8" in run.result, run.result)


def both_grow(projects, first, second, order):
    """One operator's list has B with 4 GPUs, the other's has C: with A's 4 only one of them fits into the 8."""
    with world(projects, (Row("A", 4),)) as made:
        made.folders[0].write((Row("A", 4), Row("B", 4)))
        made.folders[1].write((Row("A", 4), Row("C", 4)))
        commands = Command(first, MARCH), Command(second, MARCH, folder=1, masses=False)
        runs = made.play(commands, order)
        assert made.cluster.held() <= CAPACITY
        return made, runs


@pytest.mark.parametrize(
    "stop", ["has read the Lease", "has listed the namespaces", "is shown create B 0→4", "asks for the turn"]
)
def test_whoever_was_overtaken_grants_nothing_on_what_it_had_seen(stop, projects):
    made, (first, second) = both_grow(projects, "up", "up", [(0, stop), (1, "")])
    made.insist(second.result == "done", second.result)
    made.insist(namespace("C") not in made.cluster.spaces and first.result == "done", first.result)  # B is in its place
    assert any("deciding again" in line for line in made.history)


def test_whoever_waits_for_the_turn_decides_again_when_it_has_it(projects):
    made, (first, second) = both_grow(
        projects, "up", "up", [(0, "has written Namespace of gpu-b"), (1, "waits for the turn")]
    )
    made.insist(first.result == "done", first.result)
    made.insist(any("B (up) is told: " in line or "deciding again" in line for line in made.history), second.result)


def test_by_hand_nothing_is_granted_beside_a_command_at_work(projects):
    made, (first, second) = both_grow(
        projects, "up", "hand", [(1, "has seen the preview"), (0, "starts Pulumi"), (1, "")]
    )
    made.insist("is at work on this cluster" in second.result, second.result)
    made.insist(first.result == "done", first.result)


def test_by_hand_the_turn_is_taken_before_anything_is_looked_at(projects):
    made, (first, second) = both_grow(projects, "up", "hand", [(1, "has the turn"), (0, "waits for the turn"), (1, "")])
    made.insist(first.result == "done" or first.result.startswith("PlanRefused"), first.result)
    made.insist(second.result == "done", second.result)


@pytest.mark.parametrize("pods_before", [True, False])
def test_nothing_is_granted_on_top_of_what_pods_hold_on_to(pods_before, projects):
    """A shrinks from 4 GPUs to 1 and C wants 3; pods that hold all 4 were there before, or start after the look."""
    with world(projects, (Row("A", 4), Row("B", 4))) as made:
        made.folders[0].write((Row("A", 1), Row("B", 4), Row("C", 3)))
        start = (Act("pod", "A", 4), 1)
        order = [start] if pods_before else [(0, "has the turn"), start]
        (run,) = made.play([Command("up", MARCH)], order)
        refused = "more than the capacity of 8" if pods_before else "not granted until"
        made.insist(refused in run.result, run.result)
        made.play([], [(Act("end", "A"), 1)])
        finish(made, 0, MARCH)
        assert made.cluster.spaces[namespace("C")].hard == 3


def test_nothing_is_granted_in_the_place_of_a_pod_that_does_not_end(projects):
    """A goes, C wants its GPUs, and a pod of A's holds on to them whatever its quota says."""
    with world(projects, (Row("A", 4), Row("B", 4))) as made:
        made.folders[0].write((Row("B", 4), Row("C", 4)))
        (run,) = made.play([Command("up", MARCH)], [(Act("pod", "A", 4, stubborn=True), 1)])
        made.insist("not granted until the GPUs are free that others' pods hold: C" in run.result, run.result)
        made.play([], [(Act("go"), 1)])
        assert finish(made, 0, MARCH) == "done"


def test_a_namespace_that_does_not_go_is_not_reported_as_freed(projects):
    with world(projects, (Row("A", 4), Row("B", 4))) as made:
        made.folders[0].write((Row("B", 4),))
        (run,) = made.play([Command("up", MARCH)], [(Act("stick", "A"), 1)])
        made.insist("A is not reclaimed: namespace gpu-a: a finalizer" in run.result, run.result)
        made.play([], [(Act("go"), 1)])
        assert finish(made, 0, MARCH) == "done"


def test_what_somebody_else_changed_behind_the_turn_is_not_reported_as_applied(projects):
    with world(projects, (Row("A", 4),)) as made:
        made.folders[0].write((Row("A", 4), Row("B", 4)))
        (run,) = made.play([Command("up", MARCH)], [(0, "saves the state"), (Act("kubectl", "B", 1), 1)])
        made.insist("its quota grants 1; rerun the command" in run.result, run.result)
        assert finish(made, 0, MARCH) == "done"


def test_by_hand_nothing_is_granted_from_what_the_same_run_would_free(projects):
    with world(projects, (Row("A", 4), Row("B", 4))) as made:
        made.folders[0].write((Row("A", 1), Row("B", 4), Row("C", 3)))
        (run,) = made.play([Command("hand", MARCH)], [])
        made.insist("would rest on GPUs that the same run frees" in run.result, run.result)
        assert finish(made, 0, MARCH) == "done"


def test_what_stands_in_the_list_again_when_the_answer_comes_is_not_taken_back(projects):
    """The list was mended while the question was open."""
    rows = Row("A", 4), Row("B", 1)
    with world(projects, rows) as made:
        made.folders[0].write(rows[1:])
        order = [(0, "is asked"), (Act("list", rows=rows), 1)]
        (run,) = made.play([Command("up", MARCH, asks=True)], order)
        made.insist(run.result == "done" and made.cluster.spaces[namespace("A")].hard == 4, run.result)


def test_two_forfeitures_of_one_award_are_one_event_and_both_succeed(projects):
    for stop in (
        "has observed the cluster",
        "is asked",
        "is about to write to the ledger",
        "asks for the turn",
        "has the turn",
    ):
        with world(projects, (Row("A", 4), Row("B", 1))) as made:
            command = Command("forfeit", MARCH, asks=True)
            runs = made.play((command, command), [(0, stop), (1, "")])
            made.insist([run.result for run in runs] == ["done", "done"], stop)
            assert [event.award for event in read_ledger(made.folders[0].project.ledger)] == ["A"]
            assert set(made.cluster.spaces) == {namespace("B")}
