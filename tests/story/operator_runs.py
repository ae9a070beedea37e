"""One operator's command on its way: a thread that stops at each step until it is told to go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from played_cluster import PlayedCluster, State
from strategies import cluster

from gpuprov.core import decisions
from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Op
from gpuprov.errors import GpuprovError
from gpuprov.load.ledgerfile import read_ledger
from gpuprov.load.project import Project
from gpuprov.run import byhand, intents, loading, pipeline, story
from gpuprov.run.job import Job, Outcome
from gpuprov.run.watch.metrics import Metrics
from gpuprov.run.watch.rounds import Round, Settings

CAPACITY = 8
WHERE = cluster("samsung-sds", H100=CAPACITY).model_copy(update={"require_chart": False})
STACK = WHERE.provider
_HEADER = "award id,organization,track,applied,provider,model,quantity,start date,end date,status"


class Abandoned(BaseException):
    """The example is over, whatever its commands still wanted to do."""


@dataclass(frozen=True)
class Row:
    """One line of an award list."""

    award_id: str
    gpus: int
    last_day: str = "2026-06-30"
    status: str = "selected"

    def __str__(self) -> str:
        return f"{self.award_id},org,1,{self.gpus},{STACK},H100,{self.gpus},2026-01-01,{self.last_day},{self.status}"


@dataclass(frozen=True)
class Command:
    """What an operator types: up, expire, forfeit, reduce or hand; or a round of watch. ``folder`` has the files.

    ``asks`` is whether there is a question first. ``masses`` confirms whatever is unexplained.
    """

    kind: str
    at: datetime
    award_id: str = "A"
    gpus: int = 1
    folder: int = 0
    asks: bool = False
    masses: bool = True


@dataclass(frozen=True)
class Act:
    """What tenants, ministries and controllers do meanwhile."""

    kind: str
    award_id: str = "A"
    gpus: int = 1
    stubborn: bool = False
    folder: int = 0
    rows: tuple[Row, ...] = ()


@dataclass
class Folder:
    """The files of a project."""

    root: Path
    project: Project
    before: bytes = b""

    def write(self, rows: Sequence[Row]) -> None:
        self.project.awards[0].write_text("\n".join([_HEADER, *map(str, rows)]) + "\n", encoding="utf-8")

    def lost(self) -> str | None:
        """Tell what has gone from the ledger since this was asked last."""
        path = self.project.ledger
        before, self.before = self.before, path.read_bytes() if path.exists() else b""
        events = read_ledger(path)
        if not self.before.startswith(before):
            return f"the ledger was {before!r} and is {self.before!r}"
        gone: dict[str, datetime] = {}
        for event in events:
            if event.event == "forfeited":
                if event.award in gone and gone[event.award] <= event.at:
                    return f"{event.award} was forfeited from {gone[event.award]} on already: {self.before!r}"
                gone[event.award] = event.at
        return None


class World(Protocol):
    """What a command sees of everything else (`two_operators.World`)."""

    cluster: PlayedCluster
    folders: Sequence[Folder]
    history: list[str]
    running: Run | None
    over: bool
    back: threading.Semaphore

    def state_of(self, root: Path) -> State:
        """Return the state that a project's commands work with."""


@dataclass(eq=False)
class Run:
    """One command on its way. ``result`` is how it ended."""

    name: str
    command: Command
    world: World
    shown: frozenset[str] = frozenset()
    fresh: bool = True
    ended: bool = False
    result: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    says: str = ""
    until: Callable[[], bool] | None = None
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    pending: list[Any] = field(default_factory=list)

    def reads(self) -> None:
        self.fresh = True

    def pause(self, what: str, until: Callable[[], bool] | None = None) -> None:
        self.until, self.says = until, what
        self.log(f"{self.name} {what}")
        self.world.back.release()
        self.go.acquire()
        if self.world.over:
            raise Abandoned
        self.world.running = self

    def log(self, line: str) -> None:
        self.world.history.append(line)

    def start(self) -> None:
        self.go.acquire()
        self.world.running = self
        try:
            if not self.world.over:
                self.result = self._run() or "done"
        except GpuprovError as error:
            self.result = f"{type(error).__name__}: {error}"
        except Abandoned:
            self.result = "abandoned"
        except BaseException as error:
            self.result = f"a bug: {error!r}"
            self.world.cluster.broken.append(self.result)
            raise
        finally:
            self.ended = True
            self.log(f"{self.name} has ended: {self.result}")
            self.world.back.release()

    # the operator of the story

    def show(self, planned: pipeline.PlanContext, jobs: Sequence[Job]) -> None:
        changes = planned.plan.changes
        self.shown = frozenset(change.namespace for change in changes if change.op is Op.RECLAIM)
        self.pause("is shown " + (", ".join(f"{c.op} {c.award_id} {c.before}→{c.after}" for c in changes) or "nothing"))

    def tell(self, line: str) -> None:
        self.log(f"{self.name} is told: {line}")

    def confirm(self, intent: intents.Intent, busy: Sequence[Job]) -> bool:
        if self.command.asks:
            self.pause("is asked")
            self.fresh = False
        return self.command.asks

    # the commands

    def _run(self) -> str:
        if self.command.kind == "hand":
            return self._by_hand()
        if self.command.kind.startswith("watch"):
            return self._watch()
        most = 99 if self.command.masses else 0
        confirmed = Confirmed(teardown=most, change=most, ledger=self.command.masses)
        report = story.Story(
            decide=self.intent,
            operator=self,
            progress=lambda provider, line: None,
            confirmed=confirmed,
            timeout=1.0,
            purpose=self.command.kind,
        ).run()
        self.outcomes = list(report.outcomes)
        errors = [outcome.error for outcome in report.outcomes if outcome.error] + [
            str(failure) for failure in report.failed.values()
        ]
        return "; ".join(errors)

    def intent(self) -> intents.Intent:
        """Decide as the command line does."""
        command, folder = self.command, self.world.folders[self.command.folder]
        loaded = loading.load(folder.project)
        if command.kind == "up":
            return intents.bring_to_list(loaded, command.at, [STACK])
        if command.kind == "expire":
            return intents.end_terms(loaded, command.at, [STACK])
        about = {"at": command.at, "by": self.name, "reason": "as decided", "recorded": command.at}
        if command.kind == "forfeit":
            decision = decisions.forfeit(loaded.histories, [command.award_id], unlisted=loaded.unlisted, **about)
        else:
            decision = decisions.reduce(loaded.histories, command.award_id, command.gpus, **about)
        return intents.record_and_apply(loaded, decision, command.at)

    def _watch(self) -> str:
        """Do one round of the service."""
        folder = self.world.folders[self.command.folder]
        at = self.command.at
        Round(
            provider=STACK,
            source=SimpleNamespace(load=lambda: loading.load(folder.project)),
            settings=Settings(interval=timedelta(seconds=60), timeout=1.0, apply=self.command.kind == "watch --apply"),
            metrics=Metrics(lambda: at),
            now=lambda: at,
            operator=self,
        ).run()
        return ""

    def _by_hand(self) -> str:
        """Play `pulumi up`: it holds its stack's lock all the time, and saves the state when the program has ended."""
        state = self.world.state_of(self.world.folders[self.command.folder].root)
        if state.lock:
            return f"the stack is locked by {state.lock}"
        state.lock = self.name
        try:
            root = self.world.folders[self.command.folder].root
            asyncio.run(byhand._run(root, STACK, preview=True))
            self.pause("has seen the preview")
            self.declared: byhand.Declaration | None = None
            asyncio.run(byhand._run(root, STACK, preview=False))
        finally:
            state.lock = ""
        return ""
