"""Two commands at once, in two threads of which only one ever runs: a drawn schedule says who goes on at each step.

The story and the worker are the real ones, with real files; only the shells that reach for a cluster or for Pulumi are
played (`played_cluster`). The same schedule gives the same steps, so that a failure can be shrunk and replayed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from operator_runs import CAPACITY, STACK, WHERE, Act, Command, Folder, Run
from played_cluster import GPU, PlayedCluster, Pod, State, failed, said

from gpuprov.core.manifests import QUOTA
from gpuprov.core.naming import namespace
from gpuprov.core.outputs import summary
from gpuprov.errors import GpuprovError
from gpuprov.run import apply, aside, byhand, intents, loading, pipeline, worker
from gpuprov.run import stack as stack_process
from gpuprov.run.child import Answer
from gpuprov.run.job import Job, Outcome, StackDone

MOST_STEPS = 5000
HANGS_SECONDS = 120.0

Schedule = Sequence[tuple[int | Act, int | str]]


class World:
    """The cluster, the folders with their states, and what has happened. ``shared`` is one state for both folders."""

    def __init__(self, folders: Sequence[Folder], *, shared: bool) -> None:
        self.folders = folders
        self.states = [State()] * 2 if shared else [State(), State()]
        self.history: list[str] = []
        self.back = threading.Semaphore(0)
        self.over = False
        self.running: Run | None = None
        self.cluster = PlayedCluster(WHERE, self.me)

    def me(self) -> Run:
        assert self.running is not None
        return self.running

    def state_of(self, root: Path) -> State:
        return self.states[[folder.root for folder in self.folders].index(root)]

    def play(self, commands: Sequence[Command], schedule: Schedule, name: str = "AB") -> list[Run]:
        """Run the commands to their ends; ``schedule`` says who goes on for how many steps, or what else happens.

        In the place of a number, a text lets a command go on until it says that.
        """
        runs = [Run(name=name[number], command=command, world=self) for number, command in enumerate(commands)]
        threads = [threading.Thread(target=run.start, daemon=True) for run in runs]
        self.history += [f"{run.name} is {run.command}" for run in runs]
        for thread in threads:
            thread.start()
        try:
            for who, steps in schedule:
                if isinstance(who, Act):
                    self._act(who)
                    continue
                for _ in range(MOST_STEPS if isinstance(steps, str) else steps):
                    self._step(runs, who)
                    if steps == runs[who].says or runs[who].ended:
                        break
            for _ in range(MOST_STEPS):
                if not self._step(runs, 0):
                    return runs
            raise AssertionError(self._told("the commands do not end"))
        finally:
            self.over = any(not run.ended for run in runs)
            for run in runs:
                run.go.release()
            for thread in threads:
                thread.join()
            self.over, self.running = False, None

    def _step(self, runs: Sequence[Run], first: int) -> bool:
        """Let one run go on to its next pause, if it can, else the other one; False where none can."""
        ready = [run for run in (*runs[first:], *runs[:first]) if not run.ended and (not run.until or run.until())]
        if not ready:
            assert all(run.ended for run in runs), self._told("the commands wait for each other")
            return False
        ready[0].go.release()
        assert self.back.acquire(timeout=HANGS_SECONDS), self._told(f"{ready[0].name} hangs")
        self.check()
        return True

    def check(self) -> None:
        """Insist that nothing has happened that must not."""
        broken = [*self.cluster.broken, *(lost for folder in self.folders if (lost := folder.lost()))]
        assert not broken, self._told("; ".join(broken))

    def _told(self, what: str) -> str:
        return "\n".join([what, "", *self.history])

    def nothing_was_done(self) -> bool:
        """Tell whether the last command was shown nothing to change, and started nothing."""
        begun = max(number for number, line in enumerate(self.history) if " is Command(" in line)
        lines = self.history[begun:]
        return any("is shown nothing" in line for line in lines) and not any("the turn" in line for line in lines)

    def insist(self, truth: object, what: str) -> None:
        """Fail with the history where something is not true."""
        assert truth, self._told(what)

    def _act(self, act: Act) -> None:
        """Let somebody else do something: a tenant, a controller, or whoever edits a list."""
        self.history.append(f"meanwhile: {act}")
        name = namespace(act.award_id)
        space = self.cluster.spaces.get(name)
        if act.kind == "list":
            self.folders[act.folder].write(act.rows)
        elif act.kind == "go":
            for other in self.cluster.spaces.values():
                other.sticky = False
                for pod in other.pods:
                    pod.stubborn = False
            self.cluster.go_on()
        elif act.kind == "end" and space is not None:
            space.pods = space.pods[1:]
        elif act.kind == "kubectl" and space is not None:
            space.objects["ResourceQuota", QUOTA]["spec"]["hard"][f"requests.{GPU}"] = str(act.gpus)
        elif act.kind == "stick" and space is not None:
            space.sticky = True
        elif act.kind == "pod" and space is not None and not space.terminating:
            on_nodes = sum(other.by_pods for other in self.cluster.spaces.values())
            gpus = min(act.gpus, space.hard - space.by_pods, CAPACITY - on_nodes)
            if gpus > 0:
                space.pods.append(Pod(gpus, act.stubborn))

    # what is played in the place of the shells

    def read_outputs(self, root: Path, stack: str) -> dict[str, Any] | None:
        self.me().pause("reads the state")
        return self.state_of(root).outputs

    def run_all(self, errands: Sequence[Any], **options: object) -> list[Answer]:
        return [self._work(errand.message) for errand in errands]

    def _work(self, job: Job) -> Answer:
        sent = Job.model_validate_json(job.model_dump_json(by_alias=True))
        try:
            outcome = worker.run(sent)
        except GpuprovError as error:
            outcome = Outcome(provider=STACK, error=str(error))
        self.me().log(f"{self.me().name} reports {outcome!r}")
        self._applied(sent, outcome)
        self.me().pause("has given the turn back")
        return Answer(outcome=outcome.model_dump(mode="json"), code=0)

    def _applied(self, job: Job, outcome: Outcome) -> None:
        """What is reported as applied is there as it was decided, and what as freed is gone."""
        for freed in outcome.freed:
            if freed.namespace in self.cluster.spaces:
                self.cluster.broken.append(f"{freed.award_id} is reported as freed, and its namespace is there")
        should = {tenant.award_id: tenant.gpus for tenant in job.tenants}
        for award_id in outcome.applied:
            space = self.cluster.spaces.get(namespace(award_id))
            has = None if space is None or space.terminating else space.hard
            if has != should.get(award_id):
                self.cluster.broken.append(f"{award_id} is reported as applied with {should.get(award_id)}, has {has}")

    def up(self, what: Any, progress: object) -> StackDone:
        state, me = self.state_of(what.root), self.me()
        if state.lock:
            me.pause("finds the stack locked")
        if state.lock:
            return failed(what.stack, f"the stack is locked by {state.lock}")
        state.lock = me.name
        try:
            recorded = said(what.cluster, what.origin, what.recorded)
            me.pause("starts Pulumi")
            self.cluster.up(state, what.tenants, changed=what.changed, refresh=what.refresh, recorded=recorded)
        except GpuprovError as error:
            return failed(what.stack, error)
        finally:
            state.lock = ""
        return StackDone(stack=what.stack, operations={})

    async def declare(self, where: Any, tenants: Any, uid: str, origin: Any) -> None:
        """Play what Pulumi does while the program of `pulumi up` runs; a preview has no turn and writes nothing."""
        if self.cluster.holder == self.me().name:
            state = self.state_of(self.folders[self.me().command.folder].root)
            recorded = said(where, origin, summary(tenants))
            self.cluster.up(state, tenants, changed=None, refresh=False, recorded=recorded)

    def append_events(self, path: Path, events: Any, known: int) -> Any:
        self.cluster.acts("writes to the ledger")
        self.me().pause("is about to write to the ledger")
        written = self._append(path, events, known)
        self.me().pause("has written to the ledger")
        return written

    def patch(self, monkeypatch: Any) -> None:
        """Put what is played into the places of the shells."""
        self._append = intents.append_events
        here = self.cluster
        monkeypatch.setattr(worker, "KubeApi", lambda where: None)
        monkeypatch.setattr(worker, "Teardown", SimpleNamespace(on=lambda where, **given: here))
        for module, names in ((pipeline, ("observe", "find", "read_back", "pods_on")), (worker, _WORKER)):
            for name in names:
                monkeypatch.setattr(module, name, getattr(here, name))
        monkeypatch.setattr(byhand, "take_turn", here.take_turn)
        monkeypatch.setattr(worker, "require_live_parent", lambda: None)
        monkeypatch.setattr(worker, "progress", lambda line: None)
        monkeypatch.setattr(pipeline, "read_outputs", self.read_outputs)
        for module in (pipeline, aside):
            monkeypatch.setattr(module, "ThreadPoolExecutor", InTurn)
        monkeypatch.setattr(apply, "run_all", self.run_all)
        monkeypatch.setattr(stack_process, "run", self.up)
        monkeypatch.setattr(intents, "append_events", self.append_events)
        for name in ("load_awards", "read_lines"):
            monkeypatch.setattr(loading, name, self._paused(getattr(loading, name), f"reads ({name})"))
        projects = {folder.root: folder.project for folder in self.folders}
        monkeypatch.setattr(byhand, "open_project", projects.__getitem__)
        monkeypatch.setattr(byhand, "declare", self.declare)
        monkeypatch.setattr(byhand, "asyncio", SimpleNamespace(to_thread=_at_once))
        monkeypatch.setattr(byhand, "_instant", lambda _zone: self.me().command.at)

    def _paused(self, work: Callable[..., Any], what: str) -> Callable[..., Any]:
        def paused(*given: Any, **named: Any) -> Any:
            if self.running is not None:  # the test itself reads too
                self.running.pause(what)
            return work(*given, **named)

        return paused


_WORKER = ("take_turn", "read_back", "pods_on")


async def _at_once(work: Callable[..., Any], *given: Any) -> Any:
    return work(*given)


class InTurn:
    """A pool of threads that does everything at once in the thread that asks: only one ever runs."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do it, and return what tells the result."""
        try:
            result = work(*given)
        except GpuprovError as error:
            return SimpleNamespace(result=_raises(error))
        return SimpleNamespace(result=lambda: result)


def _raises(error: GpuprovError) -> Callable[[], Any]:
    def result() -> Any:
        raise error

    return result
