"""What is seen of the cluster while two operators work, and what must hold of a round."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes import client, config
from operators import CAPACITY, Command, Folder
from projects import Ran
from story import OURS

from gpuprov.core.manifests import QUOTA
from gpuprov.core.naming import namespace

GPU = "requests.nvidia.com/gpu"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Seen:
    """The cluster at one moment: of each namespace its UID, the GPUs that its quota grants, and those of its pods."""

    uids: Mapping[str, str]
    granted: Mapping[str, int]
    pods: Mapping[str, int]

    @property
    def held(self) -> int:
        """GPUs that are granted or, where that is more, held by pods; of a namespace that went meanwhile, none."""
        return sum(max(gpus, self.pods.get(name, 0)) for name, gpus in self.granted.items())


class Eyes:
    """The administrator's view of the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        connection = config.new_client_from_config(config_file=str(kubeconfig), context="alpha-admin")
        self.core = client.CoreV1Api(connection)

    def look(self) -> Seen:
        pods: dict[str, int] = {}
        for pod in self.core.list_pod_for_all_namespaces().items:
            if pod.spec.node_name and pod.status.phase not in {"Succeeded", "Failed"}:
                asked = (pod.spec.containers[0].resources.limits or {}).get("nvidia.com/gpu", "0")
                pods[pod.metadata.namespace] = pods.get(pod.metadata.namespace, 0) + int(asked)
        own = f"metadata.name={QUOTA}"
        quotas = self.core.list_resource_quota_for_all_namespaces(label_selector=OURS, field_selector=own).items
        granted = {quota.metadata.namespace: int(quota.spec.hard[GPU]) for quota in quotas}
        spaces = self.core.list_namespace(label_selector=OURS).items
        return Seen(uids={space.metadata.name: space.metadata.uid for space in spaces}, granted=granted, pods=pods)


class Watch:
    """Looks at the cluster all the time; keeps what was granted beyond the pool."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes = eyes
        self.broken: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            # Two lists are of two moments: an excess is one that the next look finds too.
            if self.eyes.look().held > CAPACITY and (seen := self.eyes.look()).held > CAPACITY:
                self.broken.append(f"{seen.held} GPUs held of {CAPACITY}: granted {seen.granted}, by pods {seen.pods}")


@dataclass
class Round:
    """What happened in one round, and what must hold of it."""

    number: int
    at: datetime
    commands: tuple[Command, ...]
    ran: list[Ran]
    before: Seen
    after: Seen
    held: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    last: int = 0
    then: Command | None = None
    then_ran: Ran | None = None
    end: Seen | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        names = ["by hand" if command.by_hand else command.words[0] for command in self.commands]
        both = ", ".join(f"{name} {ran.code}" for name, ran in zip(names, self.ran, strict=True))
        again = sum("deciding again" in ran.err for ran in self.ran)
        reasons = "".join(f"\n    {_reason(ran)}" for ran in self.ran if ran.code)
        last = self.then_ran.code if self.then_ran else "-"
        return f"round {self.number}: {both}; {again} decided again; then up {last}{reasons}"

    def ledgers(self, folders: tuple[Folder, ...], before: list[bytes]) -> None:
        """Nothing is lost from a ledger, and nobody is forfeited twice."""
        for folder, was in zip(folders, before, strict=True):
            if not folder.ledger.startswith(was):
                self.faults.append(f"{folder.root.name}: the ledger lost events: {was!r} became {folder.ledger!r}")
            gone = folder.forfeited()
            if twice := {award for award in gone if gone.count(award) > 1}:
                self.faults.append(f"{folder.root.name}: forfeited twice: {twice}")

    def check(self) -> None:
        self.faults += self.broken
        outcomes = [_outcome(ran) for ran in self.ran]
        freed = set()
        for command, ran, outcome in zip(self.commands, self.ran, outcomes, strict=True):
            if "a bug in gpuprov" in ran.err or "Traceback" in ran.err + ran.out:
                self.faults.append(f"{command}: a bug")
            for tenant in outcome.get("freed", ()):
                freed.add(tenant["namespace"])
                if not re.search(rf"reclaim +alpha +{tenant['award_id']} ", ran.err):
                    self.faults.append(f"{command}: took back {tenant['award_id']} and had not shown it")
        gone = {name for name, uid in self.before.uids.items() if self.after.uids.get(name) != uid}
        stuck = {namespace(award) for outcome in outcomes for award in outcome.get("stuck", {})}
        if unexplained := gone - freed - stuck:
            self.faults.append(f"gone and reported by nobody: {unexplained}")
        self._applied(outcomes)
        self._raise()

    def _applied(self, outcomes: list[Mapping[str, Any]]) -> None:
        """What the last one applied is there as it was decided, unless the other touched it too."""
        command, mine, other = self.commands[self.last], outcomes[self.last], outcomes[1 - self.last]
        if self.commands[1 - self.last].by_hand and self.ran[1 - self.last].code == 0:
            return
        touched = {*other.get("applied", ()), *other.get("lowered", ()), *other.get("stuck", {})}
        touched |= {tenant["award_id"] for tenant in other.get("freed", ())}
        for award in set(mine.get("applied", ())) - touched:
            should, has = command.folder.desired(self.at).get(award), self.after.granted.get(namespace(award))
            if should != has:
                self.faults.append(f"{command}: reported {award} as applied with {should} GPUs, and it has {has}")

    def check_alone(self, plan: Ran | None, *, stuck: bool) -> None:
        """Whoever then works alone gets all that is desired, or is told why not."""
        assert self.then is not None
        assert self.then_ran is not None
        assert self.end is not None
        self.faults += self.broken
        ran, should = self.then_ran, {}
        if ran.code == 4:
            if "GPUs allocated of" not in ran.err and "more than the capacity" not in ran.err:
                self.faults.append("refused for another reason than the capacity")
        elif ran.code != 0:
            if not stuck or ("not granted until" not in ran.err and "is not reclaimed" not in ran.err):
                self.faults.append(f"code {ran.code} and no word of GPUs that are held")
        else:
            should = {namespace(award): gpus for award, gpus in self.then.folder.desired(self.at).items()}
            if should != dict(self.end.granted):
                self.faults.append(f"should be {should} and is {self.end.granted}")
            if plan is not None and plan.code != 0:
                self.faults.append(f"something is still to do:\n{plan.out}{plan.err}")
        self._raise()

    def _raise(self) -> None:
        assert not self.faults, f"{self}"

    def __str__(self) -> str:
        lines = [self.line, *self.faults, f"at {self.at.isoformat()}; held by finalizers: {self.held}"]
        lines += [f"before: {self.before}", f"after: {self.after}", f"in the end: {self.end}"]
        pairs = [*zip(self.commands, self.ran, strict=True)]
        if self.then and self.then_ran:
            pairs.append((self.then, self.then_ran))
        for command, ran in pairs:
            listed = "\n".join(map(str, command.folder.rows))
            lines += [f"--- {command}: code {ran.code}", f"its list:\n{listed}", ran.err, ran.out]
            lines.append(f"its ledger:\n{command.folder.ledger.decode()}")
        return "\n".join(lines)


def _reason(ran: Ran) -> str:
    """Return one line of what a command said went wrong."""
    lines = [line.strip() for line in (ran.err + ran.out).splitlines()]
    return next((line for line in lines if re.match(r"- |error: |.*(failed|locked)", line)), lines[-1])[:160]


def _outcome(ran: Ran) -> Mapping[str, Any]:
    """Return what a command said of the cluster; nothing where it was refused or typed by hand."""
    try:
        providers = json.loads(ran.out)["providers"]
    except (ValueError, KeyError):
        return {}
    return providers[0] if providers else {}
