"""The model of a round: a history in which all is well breaks no rule, and each way to break one is found."""

import copy
import json

import pytest
from history import History, read
from hypothesis import given
from hypothesis import strategies as st
from model import RULES, State, capacity, check, replay

A, B, C = "gpu-hpc-1", "gpu-hpc-2", "gpu-hpc-3"
FORFEITED = '{"award":"HPC-1","event":"forfeited"}\n'


def namespace(revision, name, *, uid="", gone=False, award=""):
    award = award or name.removeprefix("gpu-").upper()
    about = {"namespace": name, "uid": uid or f"uid of {name}", "award": award, "gone": gone}
    return {"type": "change", "object": "namespace", "revision": revision, **about}


def quota(revision, name, gpus, *, gone=False):
    about = {"namespace": name, "name": "gpu", "gpus": gpus, "gone": gone}
    return {"type": "change", "object": "quota", "revision": revision, **about}


def pod(revision, name, gpus, *, gone=False):
    about = {"namespace": name, "name": "train", "gpus": gpus, "gone": gone}
    return {"type": "change", "object": "pod", "revision": revision, **about}


def well():
    """The award 1 is forfeited, its pod ends, its namespace goes; then 3 gets its GPUs; 2 is reduced from 4 to 3."""
    changes = [
        *(namespace(10, A), quota(10, A, 4), pod(10, A, 4), namespace(10, B), quota(10, B, 4)),
        quota(11, A, 0),
        pod(12, A, 4, gone=True),
        quota(13, A, 0, gone=True),
        namespace(14, A, gone=True),
        quota(15, B, 3),
        namespace(16, C),
        quota(17, C, 5),
    ]
    desired = {B: 3, C: 5}
    words = ["forfeit", "HPC-1", "--reason", "no answer"]
    return [
        {"type": "round", "capacity": 8, "clock_hours": 0, "granted": {A: 4, B: 4}},
        *changes,
        {"type": "operation", "words": words, "namespace": A, "code": 0, "err": "", "out": ""},
        {"type": "looked", "granted": {B: 3, C: 5}, "desired": desired},
        {"type": "last", "words": ["up"], "code": 0, "err": "", "remedies": [], "remedies_allowed": []},
        {"type": "ledger", "before": "", "after": FORFEITED},
        {
            "type": "end",
            "desired": desired,
            "granted": desired,
            "namespaces": {B: "HPC-2", C: "HPC-3"},
            "stacks": {"alpha.json": desired, "alpha-setup.json": {}},
            "locks": [],
            "lease": "",
            "processes": [],
            "preview": 0,
            "preview_out": "",
        },
    ]


def broken(change):
    """Return the rules that a history breaks once it was changed."""
    entries = copy.deepcopy(well())
    by_type = {entry["type"]: entry for entry in entries}
    change(entries, by_type)
    return {violation.rule for violation in check(entries)}


def add(*changes):
    return lambda entries, _: entries.extend(changes)


def put(kind, **fields):
    return lambda _, entries: entries[kind].update(fields)


def operation(*words, code=0, **fields):
    return put("operation", words=list(words), code=code, **fields)


def test_where_all_is_well_no_rule_is_broken():
    assert check(well()) == []


BROKEN = {
    "granted before it was free": ("capacity", add(quota(12, C, 5))),
    "a pod that is stuck still holds its GPUs": (
        "capacity",
        lambda entries, _: entries.remove(pod(12, A, 4, gone=True)),
    ),
    "an award in two namespaces": (
        "one place",
        add(namespace(13, "gpu-copy", award="HPC-2"), quota(13, "gpu-copy", 1), quota(14, "gpu-copy", 0)),
    ),
    "an award in the state of two stacks": ("one place", put("end", stacks={"a": {B: 3, C: 5}, "b": {C: 5}})),
    "less than before and after": ("unharmed", add(quota(14, B, 2), quota(15, B, 3))),
    "a quota that was gone for a moment": ("unharmed", add(quota(12, B, 4, gone=True), quota(13, B, 4))),
    "another namespace of the same name": ("unharmed", add(namespace(12, B, uid="new"))),
    "done, and an award has too much": (
        "honest",
        lambda _, e: (operation("up")(_, e), e["looked"].update(granted={B: 4})),
    ),
    "done, and something is missing": (
        "honest",
        lambda _, e: (operation("up")(_, e), e["looked"].update(granted={B: 3})),
    ),
    "done by hand, and it is not": (
        "honest",
        lambda _, e: (operation("pulumi", "up")(_, e), e["looked"].update(granted={})),
    ),
    "forfeited, and still there": ("honest", put("looked", granted={A: 0, B: 3, C: 5})),
    "reduced, and not lower": ("honest", operation("reduce", "HPC-2", "--to", "2", namespace=B)),
    "an event that is gone": ("ledger", put("ledger", before=FORFEITED, after="")),
    "an event that was changed": ("ledger", put("ledger", before=FORFEITED, after=FORFEITED.replace("1", "2"))),
    "half an event": ("ledger", put("ledger", after=FORFEITED + FORFEITED[:20])),
    "forfeited twice": ("ledger", put("ledger", after=FORFEITED * 2)),
    "forfeited, and not recorded": ("ledger", put("ledger", after="")),
    "the last run fails": ("finished", put("last", code=5)),
    "the last run needs help that is not documented": ("finished", put("last", remedies=["unlock"])),
    "the wrong quota in the end": ("as desired", put("end", granted={B: 4, C: 5})),
    "an award is missing in the end": ("as desired", put("end", granted={B: 3})),
    "an orphan": ("as desired", put("end", namespaces={A: "HPC-1", B: "HPC-2", C: "HPC-3"})),
    "an award that the state lacks": ("as desired", put("end", stacks={"alpha.json": {B: 3}})),
    "an award that the state has too many": ("as desired", put("end", stacks={"alpha.json": {A: 4, B: 3, C: 5}})),
    "Pulumi finds changes": ("as desired", put("end", preview=1)),
    "a stale lock": ("nothing left", put("end", locks=["4711"])),
    "a turn that nobody gave back": ("nothing left", put("end", lease="root@vm/1")),
    "a process that goes on": ("nothing left", put("end", processes=["pulumi"])),
    "a code that is not documented": ("told", operation("expire", code=7)),
    "a traceback": ("told", operation("expire", code=1, err="Traceback (most recent call last):\n  …")),
    "a traceback of the last run": ("told", put("last", err="a bug in gpuprov:\n…")),
    "no end": ("told", operation("pulumi", "up", code=None)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_to_break_a_rule_is_found(name):
    rule, change = BROKEN[name]
    assert broken(change) == {rule}


def test_every_rule_can_be_broken():
    names = {rule.__name__.replace("_", " ") for rule in RULES}
    assert {rule for rule, _ in BROKEN.values()} == names


FINE = {
    "an operator whose clock is wrong ends what goes on": lambda entries, e: (
        e["round"].update(clock_hours=6),
        entries.extend([quota(12, B, 0), quota(15, B, 3)]),
    ),
    "two operators, of whom one is overtaken": lambda entries, e: (
        entries.append(e["operation"] | {"words": ["up"], "code": 0}),
        e["looked"].update(granted={}),
    ),
    "a command that says that it failed": operation("up", code=5),
    "help that is documented": put("last", remedies=["unlock"], remedies_allowed=["unlock"]),
    "a command that a signal has ended": operation("up", code=-9),
    "Python's traceback where Pulumi's program was interrupted": operation(
        "pulumi", "up", code=255, err="Traceback (most recent call last):"
    ),
    "no preview in this round": put("end", preview=None),
}


@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_wrong_breaks_no_rule(name):
    assert broken(FINE[name]) == set()


NAMES = st.sampled_from([A, B, C])
CHANGES = st.one_of(
    st.builds(lambda name, gpus, gone: quota(0, name, gpus, gone=gone), NAMES, st.integers(0, 8), st.booleans()),
    st.builds(lambda name, gpus, gone: pod(0, name, gpus, gone=gone), NAMES, st.integers(0, 8), st.booleans()),
)


@given(st.lists(CHANGES, max_size=12), st.integers(0, 24), st.randoms())
def test_the_pool_is_exceeded_at_an_instant_or_at_none(changes, most, dice):
    """Counted in another way, instant by instant, and in whatever order the changes were written down."""
    quotas, pods, peak = {}, {}, 0
    for revision, change in enumerate(changes):
        change["revision"] = revision
        objects = quotas if change["object"] == "quota" else pods
        objects[change["namespace"]] = 0 if change["gone"] else change["gpus"]
        peak = max(peak, sum(max(quotas.get(name, 0), pods.get(name, 0)) for name in (A, B, C)))
    entries = [{"type": "round", "capacity": most}, *changes]
    dice.shuffle(entries)
    assert bool(list(capacity(entries))) == (peak > most)


@given(st.lists(CHANGES, min_size=1, max_size=12), st.integers(1, 12))
def test_what_is_written_with_one_revision_is_one_instant(changes, at_once):
    """Several objects of one LIST: their states in between never were."""
    for place, change in enumerate(changes):
        change["revision"] = place // at_once
    seen = [state.revision for state, _ in replay(changes)]
    assert seen == sorted({change["revision"] for change in changes})


def test_a_pod_holds_what_its_quota_does_not_grant_any_more():
    state = State()
    for change in (quota(1, A, 0), pod(2, A, 3), quota(3, B, 4), pod(4, B, 1)):
        state.apply(change)
    assert state.held_by_namespace == {A: 3, B: 4}


def test_a_history_that_was_written_is_read_and_checked_again(tmp_path):
    history = History()
    for entry in well():
        history.add(entry["type"], **{key: value for key, value in entry.items() if key != "type"})
    history.save(tmp_path / "histories" / "1.jsonl")
    entries = read(tmp_path / "histories" / "1.jsonl")
    assert check(entries) == []
    assert all("time" in entry for entry in entries)


def test_the_line_that_was_cut_off_when_a_run_was_killed_is_no_round(tmp_path):
    path = tmp_path / "rounds.jsonl"
    path.write_text(json.dumps({"number": 1}) + "\n" + '{"number": 2, "fau', encoding="utf-8")
    assert read(path) == [{"number": 1}]
    assert read(tmp_path / "missing.jsonl") == []
