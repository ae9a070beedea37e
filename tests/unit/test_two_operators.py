"""Two operators at once: whatever the order of their steps, nothing is lost, taken unseen, or granted twice."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from strategies import JANUARY, MARCH
from two_operators import CAPACITY, STACK, WHERE, Act, Command, Folder, Row, World

from gpuprov.award import SEOUL
from gpuprov.ledgerfile import read_ledger
from gpuprov.naming import namespace
from gpuprov.project import open_project
from gpuprov.run import pipeline
from gpuprov.run.apply import make_jobs

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
    loaded = pipeline.load(made.folders[folder].project)
    desired = loaded.desired(at)
    should = {tenant.namespace: tenant.gpus for tenant in desired.tenants}
    has = {name: space.hard for name, space in made.cluster.spaces.items()}
    return should == has, f"should be {should} and is {has}"


def finish(made, folder, at):
    """One more `up`, alone: all that is desired is there, unless it is said why not."""
    (ran,) = made.play([Command("up", at, folder=folder)], [], name="Z")
    event(f"the last up: {ran.result[:20]}")
    if ran.result == "done":
        made.insist(*is_so(made, folder, at))
        (again,) = made.play([Command("up", at, folder=folder)], [], name="Z")
        made.insist(again.result == "done" and made.nothing_was_done(), "a second `up` finds something to do")
        return
    if ran.result.startswith("PlanRefused"):
        made.insist(too_much(made, folder, at), f"refused without a cause: {ran.result}")
        return
    pods = any(space.pods for space in made.cluster.spaces.values())
    sticky = any(space.sticky for space in made.cluster.spaces.values())
    held = any(pod.stubborn or pod.gpus for space in made.cluster.spaces.values() for pod in space.pods)
    made.insist((pods and held) or sticky, f"not done without a cause: {ran.result}")
    for one in ran.outcomes:
        made.insist(one.stuck or one.postponed, f"not done, and nothing is stuck or waits: {ran.result}")


def too_much(made, folder, at):
    """Tell whether the list asks for more than there is, now or later, counting what pods hold."""
    loaded = pipeline.load(made.folders[folder].project)
    if any(excess.end > at for excess in loaded.excesses):
        return True
    held = [max(one.gpus, made.cluster.by_pods(one.namespace)) for one in loaded.desired(at).tenants]
    return sum(held) > CAPACITY


@st.composite
def lists(draw, start=()):
    """A list that comes from another by a few changes; most fit into the pool."""
    rows = {row.award_id: row for row in start}
    for award_id in draw(st.lists(st.sampled_from(AWARDS), max_size=len(AWARDS), unique=True)):
        kind = draw(st.sampled_from(("add", "add", "drop", "status", "term")))
        row = rows.get(award_id, Row(award_id, 1))
        if kind == "drop":
            rows.pop(award_id, None)
        elif kind == "status":
            rows[award_id] = replace(row, status=draw(st.sampled_from(("waitlisted", "forfeited"))))
        elif kind == "term":
            rows[award_id] = replace(row, last_day=FEBRUARY)
        else:
            rows[award_id] = replace(row, gpus=draw(st.integers(1, 4)), status="selected")
    return tuple(sorted(rows.values(), key=lambda row: row.award_id))


def fits(rows):
    return rows and sum(row.gpus for row in rows if row.status == "selected") <= CAPACITY


COMMANDS = st.builds(
    Command,
    st.sampled_from(("up", "up", "up", "forfeit", "forfeit", "reduce", "expire", "hand")),
    st.sampled_from((MARCH, MARCH, MARCH, BEFORE)),
    award_id=st.sampled_from(AWARDS),
    gpus=st.integers(1, 3),
    folder=st.integers(0, 1),
    asks=st.booleans(),
    masses=st.sampled_from((True, True, False)),
)


@st.composite
def stories(draw):
    """What there is at first, what two operators do, in which order, and what happens meanwhile."""
    start = draw(lists().filter(fits))
    later = st.one_of(st.just(start), lists(start).filter(fits), lists(start).filter(bool))
    acts = st.one_of(
        st.builds(
            Act,
            st.sampled_from(("pod", "pod", "end", "go", "stick")),
            st.sampled_from(AWARDS),
            st.integers(1, 4),
            st.booleans(),
        ),
        st.builds(Act, st.just("list"), folder=st.integers(0, 1), rows=later),
    )
    before = draw(st.lists(acts, max_size=4))
    first, second = draw(COMMANDS), draw(COMMANDS)
    if draw(st.booleans()):
        second = replace(second, award_id=first.award_id)
    lists_of_both = draw(later), draw(later)
    steps = st.tuples(st.one_of(st.integers(0, 1), st.integers(0, 1), acts), st.integers(1, 30))
    schedule = draw(st.lists(steps, max_size=20))
    return start, before, lists_of_both, (first, second), schedule, draw(st.booleans()), draw(st.integers(0, 1))


@settings(max_examples=250, print_blob=True)
@given(stories())
def test_whatever_the_order_of_their_steps_two_operators_do_no_harm(projects, told):
    start, before, lists_of_both, commands, schedule, shared, last = told
    with world(projects, start, shared=shared) as made:
        for folder, rows in zip(made.folders, lists_of_both, strict=True):
            folder.write(rows)
        made.play([], [(act, 1) for act in before])
        runs = made.play(commands, schedule)
        for run in runs:
            event(f"{run.command.kind}: {run.result.partition(':')[0][:30]}")
        event(f"decided again: {sum('deciding again' in line for line in made.history)}")
        finish(made, last, max(command.at for command in commands))
