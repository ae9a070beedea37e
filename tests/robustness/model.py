"""What must hold of a round's history, whatever fault was injected. Pure: a history in, broken rules out.

The changes of quotas, pods and namespaces have etcd's revision, which counts all writes to the cluster: sorted by it
they are the cluster's states one after the other, and a rule holds at every instant or does not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from history import Entry

CODES = {0, 1, 2, 4, 5, 130}
"""The exit codes that docs/cli.md explains, as far as these commands have them."""

_BUGS = ("Traceback (most recent call last)", "a bug in gpuprov")


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold, and the entries that show it."""

    rule: str
    message: str
    entries: tuple[Entry, ...] = ()


@dataclass
class State:
    """The cluster at one revision. ``quotas`` and ``pods`` count GPUs, ``pods`` those that are held on a node."""

    revision: int = 0
    quotas: dict[str, int] = field(default_factory=dict)
    pods: dict[tuple[str, str], int] = field(default_factory=dict)
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The UID and the award of each namespace."""

    def apply(self, change: Entry) -> None:
        """Let an object be what a change says, or be gone."""
        kind, key = change["object"], change["namespace"]
        if kind == "pod":
            _put(self.pods, (key, change["name"]), None if change["gone"] else change["gpus"])
        elif kind == "quota":
            _put(self.quotas, key, None if change["gone"] else change["gpus"])
        else:
            _put(self.namespaces, key, None if change["gone"] else (change["uid"], change["award"]))
        self.revision = change["revision"]

    def held(self, namespace: str) -> int:
        """Return the GPUs that a namespace is granted or, where that is more, that its pods hold."""
        pods = sum(gpus for (where, _), gpus in self.pods.items() if where == namespace)
        return max(self.quotas.get(namespace, 0), pods)

    @property
    def held_by_namespace(self) -> dict[str, int]:
        """The GPUs that are granted or held, where there are any."""
        names = set(self.quotas) | {where for where, _ in self.pods}
        return {name: gpus for name in sorted(names) if (gpus := self.held(name))}


def _put(objects: dict, key: object, value: object) -> None:
    if value is None:
        objects.pop(key, None)
    else:
        objects[key] = value


def replay(entries: Sequence[Entry]) -> Iterator[tuple[State, Entry]]:
    """Yield the state after each revision (the same object, changed), with the last change that led to it."""
    changes = sorted((entry for entry in entries if entry["type"] == "change"), key=lambda entry: entry["revision"])
    state = State()
    for place, change in enumerate(changes):
        state.apply(change)
        if place + 1 == len(changes) or changes[place + 1]["revision"] != change["revision"]:
            yield state, change


def check(entries: Sequence[Entry]) -> list[Violation]:
    """Return every broken rule; a rule that is broken at many instants is told once, with the first."""
    return [violation for rule in RULES for violation in rule(entries)]


def _only(entries: Sequence[Entry], kind: str) -> Entry:
    return next(entry for entry in entries if entry["type"] == kind)


def _all(entries: Sequence[Entry], kind: str) -> list[Entry]:
    return [entry for entry in entries if entry["type"] == kind]


def capacity(entries: Sequence[Entry]) -> Iterator[Violation]:
    """At no instant are more GPUs granted or held than the pool has."""
    most = _only(entries, "round")["capacity"]
    for state, change in replay(entries):
        held = state.held_by_namespace
        if sum(held.values()) > most:
            message = f"{sum(held.values())} GPUs of {most} at revision {state.revision}: {held}"
            yield Violation("capacity", message, (change,))
            return


def one_place(entries: Sequence[Entry]) -> Iterator[Violation]:
    """At no instant does an award have GPUs in two namespaces, and in the end it is in one stack."""
    for state, change in replay(entries):
        awards = Counter(award for name, (_, award) in state.namespaces.items() if state.held(name))
        if twice := [award for award, places in awards.items() if places > 1]:
            yield Violation("one place", f"in two namespaces at revision {state.revision}: {twice}", (change,))
            break
    end = _only(entries, "end")
    stacks = Counter(award for awards in end["stacks"].values() for award in awards)
    if twice := [award for award, places in stacks.items() if places > 1]:
        yield Violation("one place", f"in the state of two stacks: {twice}", (end,))


def unharmed(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Who has an award before and after the round keeps it all the time: the namespace, and the lower of both quotas.

    Unless an operator's clock is wrong, which is to be wrong about who has an award.
    """
    about, end = _only(entries, "round"), _only(entries, "end")
    if about["clock_hours"]:
        return
    granted, desired = about["granted"], end["desired"]
    floors = {name: min(granted[name], desired[name]) for name in granted if name in desired}
    uids: dict[str, str] = {}
    for state, change in replay(entries):
        for name, least in floors.items():
            begun = name in uids
            uid = state.namespaces.get(name, ("", ""))[0]
            if uid and name in state.quotas:
                uids.setdefault(name, uid)
            has = state.quotas.get(name, 0)
            if begun and (uid != uids[name] or has < least):
                where = "" if uid == uids[name] else ", in another namespace"
                message = f"{name} goes on with {least} GPUs and had {has} at revision {state.revision}{where}"
                yield Violation("unharmed", message, (change,))
                return


def honest(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Who was told that all is done, and worked alone with the right clock, finds it so."""
    operations = _all(entries, "operation")
    if len(operations) != 1 or _only(entries, "round")["clock_hours"] or operations[0]["code"] != 0:
        return
    words, looked = operations[0]["words"], _only(entries, "looked")
    granted, desired = looked["granted"], looked["desired"]
    wrong: Mapping[str, object] = {}
    if words[0] in ("up", "pulumi"):
        wrong = {name: (granted.get(name), desired.get(name)) for name in granted.keys() | desired.keys()}
        wrong = {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
    elif words[0] == "forfeit" and operations[0]["namespace"] in granted:
        wrong = {operations[0]["namespace"]: granted[operations[0]["namespace"]]}
    elif words[0] == "reduce":
        name, most = operations[0]["namespace"], int(words[words.index("--to") + 1])
        wrong = {name: granted[name]} if granted.get(name, 0) > most else {}
    if wrong:
        yield Violation("honest", f"{words[0]} ended with 0, and these differ (is, should be): {wrong}", (looked,))


def ledger(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Nothing is lost from the ledger, all that was written is well-formed, and nobody is forfeited twice."""
    about = _only(entries, "ledger")
    before, after = about["before"], about["after"]
    if not after.startswith(before):
        yield Violation("ledger", f"it lost events: {before[-300:]!r} became {after[-300:]!r}", (about,))
        return
    events = []
    for line in after.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            yield Violation("ledger", f"a line that is no event: {line[:300]!r}", (about,))
            return
    forfeited = Counter(event["award"] for event in events if event["event"] == "forfeited")
    if twice := [award for award, times in forfeited.items() if times > 1]:
        yield Violation("ledger", f"forfeited twice: {twice}", (about,))
    written = {(event["event"], event["award"]) for event in events}
    for operation in _all(entries, "operation"):
        words = operation["words"]
        if words[0] == "forfeit" and operation["code"] == 0 and ("forfeited", words[1]) not in written:
            yield Violation("ledger", f"forfeit {words[1]} ended with 0 and is not in the ledger", (operation,))


def finished(entries: Sequence[Entry]) -> Iterator[Violation]:
    """One more run finishes, with no more of an operator's help than docs/cli.md says that it needs."""
    last = _only(entries, "last")
    if last["code"] != 0:
        yield Violation("finished", f"the last run ended with {last['code']}: {last['err'][-600:]}", (last,))
    if more := set(last["remedies"]) - set(last["remedies_allowed"]):
        yield Violation("finished", f"and needed {sorted(more)} first", (last,))


def as_desired(entries: Sequence[Entry]) -> Iterator[Violation]:
    """In the end the cluster and Pulumi's state have what list and ledger say, and nothing else: there is no orphan."""
    end = _only(entries, "end")
    desired = end["desired"]
    if end["granted"] != desired:
        yield Violation("as desired", f"granted is {end['granted']}, and should be {desired}", (end,))
    if orphans := sorted(set(end["namespaces"]) - set(desired)):
        yield Violation("as desired", f"orphaned namespaces: {orphans}", (end,))
    in_states = {name: gpus for awards in end["stacks"].values() for name, gpus in awards.items()}
    if in_states != desired:
        yield Violation("as desired", f"the stacks have {in_states}, and should have {desired}", (end,))
    if end["preview"] not in (None, 0):
        yield Violation("as desired", f"`pulumi preview` finds changes: {end['preview_out'][-600:]}", (end,))


def nothing_left(entries: Sequence[Entry]) -> Iterator[Violation]:
    """In the end no lock, no turn and no process is left over."""
    end = _only(entries, "end")
    for what in ("locks", "lease", "processes"):
        if end[what]:
            yield Violation("nothing left", f"{what}: {end[what]}", (end,))


def told(entries: Sequence[Entry]) -> Iterator[Violation]:
    """Every command of ours ends with a documented code, or by a signal, and none with a traceback."""
    for operation in [*_all(entries, "operation"), _only(entries, "last")]:
        command, code, errors = operation["words"][0], operation["code"], operation["err"]
        if code is None:
            yield Violation("told", f"{command} did not end in time", (operation,))
        if command == "pulumi":
            continue  # it has codes of its own, and Python's traceback where its program is interrupted
        if code is not None and code >= 0 and code not in CODES:
            yield Violation("told", f"{command} ended with {code}", (operation,))
        if any(sign in errors for sign in _BUGS):
            yield Violation("told", f"{command} ended with a bug: {errors[-600:]}", (operation,))


RULES: tuple[Callable[[Sequence[Entry]], Iterator[Violation]], ...] = (
    capacity,
    one_place,
    unharmed,
    honest,
    ledger,
    finished,
    as_desired,
    nothing_left,
    told,
)
