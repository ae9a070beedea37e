"""One round: what operators do while something goes wrong, then one more run, and what is left."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from threading import Thread
from typing import Any

import model
from faults import KINDS, Fault
from history import Entry, History
from operations import LONGEST_SECONDS, Operation, begin, left
from operators import CAPACITY
from projects import Ran, run_command
from sandbox_fixtures import eventually
from script import EVERYTHING, Script
from story import gpu_pod
from world import NAME, World

from gpuprov.core.cluster import stack_names
from gpuprov.core.manifests import LEASE, SYSTEM_NAMESPACE
from gpuprov.core.naming import namespace

PREVIEW_EVERY = 10
"""Pulumi's own comparison of everything takes as long as the rest of a round."""

PATIENCE = "60"
_SURVIVE_SECONDS = 60.0
_SO_FAR_SECONDS = 20.0
_TOLD = 3000
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/{LEASE}"


class Round:
    """Plays a script on a world, and writes its history."""

    def __init__(self, world: World, script: Script) -> None:
        self.world = world
        self.script = script
        self.history = History()
        self.hit = ""
        self.broken: list[model.Violation] = []

    def play(self, *, anew: bool) -> list[model.Violation]:
        """Play it, and return the rules that it has broken. ``anew`` begins with what the round before should leave."""
        world, script = self.world, self.script
        if anew:
            world.use(script, before=True)
            self.must(("up", "--yes", *EVERYTHING, "--accept-ledger"), script.then)
        self._pods()
        world.make_room()
        world.backups = [*world.backups[-1:], world.backend.dump()]
        ledger = world.folder.ledger.decode()
        world.observer.begin(self.history)
        granted = world.observer.granted()
        world.use(script)
        operations = [Operation(world, script, typed, f"operation {place}") for place, typed in enumerate(script.typed)]
        fault = KINDS[script.fault](world, script, operations)
        self._with_fault(fault, operations)
        world.observer.sync()
        self.history.add("looked", granted=world.observer.granted(), desired=world.desired(script))
        self._last(operations)
        self.history.add("ledger", before=ledger, after=world.folder.ledger.decode())
        self._end(operations)
        clock = max((abs(operation.clock_hours) for operation in operations), default=0)
        self.history.add("round", **self._about, capacity=CAPACITY, clock_hours=clock, granted=granted)
        self.broken = model.check(self.history.entries)
        return self.broken

    @property
    def line(self) -> Entry:
        """What the report needs of the round."""
        last = self._only("last")
        operations = [
            {"words": entry["words"], "code": entry["code"], "told": entry["code"] and _told(entry)}
            for entry in self.history.entries
            if entry["type"] == "operation"
        ]
        return self._about | {"hit": self.hit, "operations": operations, "remedies": last["remedies"]}

    @property
    def _about(self) -> Entry:
        script, backend = self.script, self.world.backend_kind
        return {"seed": script.seed, "number": script.number, "fault": script.fault, "backend": backend}

    def must(self, words: tuple[str, ...], at: datetime) -> Ran:
        """Run a command that has to succeed."""
        ran = self._run(words, at)
        assert ran.code == 0, (words, ran)
        return ran

    def _only(self, kind: str) -> Entry:
        return next(entry for entry in self.history.entries if entry["type"] == kind)

    def _run(self, words: tuple[str, ...], at: datetime) -> Ran:
        command = words if words[0] == "pulumi" else (sys.executable, "-m", "gpuprov", *words)
        variables = {**self.world.folder.environment, "GPUPROV_AT": at.isoformat()}
        return run_command(command, self.world.folder.root, variables)

    def _pods(self) -> None:
        """Let awards have the pods of the script, and no others."""
        wanted = {namespace(award): gpus for award, gpus in self.script.pods.items()}
        granted, api = self.world.observer.granted(), self.world.api
        self._end_pods({name: granted[name] for name in wanted.keys() & granted.keys()})
        running = {pod["namespace"] for pod in self.world.observer.pods()}
        for name in sorted(wanted.keys() & granted.keys() - running):
            body = gpu_pod("train", min(wanted[name], granted[name]))
            eventually(lambda name=name, body=body: api.request("POST", f"/api/v1/namespaces/{name}/pods", body).ok)
        eventually(lambda: all(pod["gpus"] for pod in self.world.observer.pods()))

    def _end_pods(self, most: Mapping[str, int]) -> None:
        """End the pods that hold more than this, and wait until they have ended."""
        observer = self.world.observer
        ending = {pod["namespace"] for pod in observer.pods() if pod["gpus"] > most.get(pod["namespace"], 0)}
        for name in sorted(ending):
            self.world.api.request("DELETE", f"/api/v1/namespaces/{name}/pods")
        eventually(lambda: not ending & {pod["namespace"] for pod in observer.pods()})

    def _with_fault(self, fault: Fault, operations: list[Operation]) -> None:
        """Let operators work while something goes wrong, and put it right in the end, whatever happens."""
        fault.prepare()
        begun, hit = time.time(), ""
        if fault.when == "before":
            hit = fault.inject()
        threads = begin(operations, self.history)
        if fault.when == "during":
            self._wait_for_the_moment(operations[0], threads[0])
            hit = fault.inject()
        deadline = time.monotonic() + self.script.seconds
        if not fault.lasting:
            while time.monotonic() < deadline and any(thread.is_alive() for thread in threads):
                time.sleep(0.02)
            hit = _both(hit, fault.heal())
        for thread in threads:
            thread.join(LONGEST_SECONDS * 2)
        if fault.when == "after":
            hit = fault.inject()
        if fault.lasting:
            hit = _both(hit, fault.heal())
        self.hit = hit
        self.history.add("fault", kind=self.script.fault, hit=hit, start=begun, end=time.time())
        self.survivors = [name for operation in operations for name in left(operation.name, _SURVIVE_SECONDS)]

    def _wait_for_the_moment(self, operation: Operation, thread: Thread) -> None:
        """Wait until the command has told that it is so far, unless it has nothing to do, and then some time."""
        deadline = time.monotonic() + _SO_FAR_SECONDS
        while not operation.has_told(self.script.so_far) and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(self.script.moment)

    def _last(self, operations: list[Operation]) -> None:
        """Run `up` once more, and do first what it asks for where docs/cli.md says that somebody has to."""
        # Who was reduced may hold more than it has; as every command says, others get it when its pods have ended.
        desired = self.world.desired(self.script)
        granted = self.world.observer.granted()
        self._end_pods({name: desired.get(name, CAPACITY) for name in granted})
        words = ("up", "--yes", "--json", *EVERYTHING, "--timeout", PATIENCE)
        remedies: list[str] = []
        ran = self._run(words, self.script.at)
        if ran.code == 5 and "run `gpuprov unlock`" in ran.err + ran.out:
            remedies.append("unlock")
            self._run(("unlock", "--yes"), self.script.at)
            ran = self._run(words, self.script.at)
        # A lock that Pulumi has left which was typed by hand, or which ran on another machine, is nobody's to remove;
        # and one that a full disk has cut off names nobody.
        unknown = any(each.words[0] == "pulumi" or each.typed.machine for each in operations)
        allowed = ["unlock"] if unknown or self.script.fault == "disk full" else []
        about = {"words": list(words), "code": ran.code, "err": ran.err[-6000:], "out": ran.out[-3000:]}
        self.history.add("last", **about, remedies=remedies, remedies_allowed=allowed)

    def _end(self, operations: list[Operation]) -> None:
        """Write down what is left: on the cluster, in the state, and of locks, turns and processes."""
        world = self.world
        world.observer.sync()
        lease = world.api.get(_LEASE) or {}
        due = self.script.number % PREVIEW_EVERY == 0
        previews = [self._preview(stack) for stack in stack_names(NAME, self.script.shards) if due]
        self.history.add(
            "end",
            desired=world.desired(self.script),
            granted=world.observer.granted(),
            namespaces=world.observer.namespaces(),
            stacks=stacks(world.backend.dump()),
            locks=world.backend.locks(),
            lease=lease.get("spec", {}).get("holderIdentity") or "",
            processes=self.survivors,
            preview=max((ran.code for ran in previews), default=None),
            preview_out="\n".join(ran.out[-2000:] for ran in previews),
        )

    def _preview(self, stack: str) -> Ran:
        options = ("--non-interactive", "--refresh", "--expect-no-changes")
        return self._run(("pulumi", "preview", "--stack", stack, *options), self.script.at)


def _both(first: str, second: str) -> str:
    return ", ".join(filter(None, (first, second)))


def stacks(states: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return the GPUs of each namespace that the outputs of each stack have, from the files of the states."""
    return {name: _tenants(json.loads(text)) for name, text in states.items()}


def _tenants(state: dict[str, Any]) -> dict[str, int]:
    latest = (state.get("checkpoint") or {}).get("latest") or {}
    for resource in latest.get("resources") or ():
        if resource["type"] == "pulumi:pulumi:Stack":
            tenants = (resource.get("outputs") or {}).get("tenants") or {}
            return {namespace(award): sum(tenant["quota"].values()) for award, tenant in tenants.items()}
    return {}


def _told(entry: Entry) -> str:
    """Return the end of what a command has printed, which says what went wrong."""
    return (entry["out"] + "\n" + entry["err"])[-_TOLD:]
