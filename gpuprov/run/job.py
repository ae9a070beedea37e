"""What one provider's process has to do, and what it answers: plain data that crosses a process boundary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant
from gpuprov.run.told import Told


class Message(BaseModel):
    """A message from one process to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reclaim(Message):
    """A tenant to reclaim, with the GPUs that its quota grants now."""

    award_id: str
    namespace: str
    model: str
    gpus: int


class Job(Message):
    """One provider's part of a plan. The process decides nothing: the tenants are already decided and guarded.

    ``at`` is the time that it was decided for. ``changed`` are the awards that differ and may be changed; ``growing``
    those among them that get GPUs, which others may have to give back first; ``shrinking`` those that get fewer.
    ``recorded`` is what the outputs of all the provider's stacks said of its tenants after their last runs, ``stacks``
    the stacks that exist. ``reshard`` is set if awards are in another stack than they belong to. ``reconnect`` is set
    if the context's name has changed: a run with targets would go on with the old name, so all awards are declared
    once. ``timeout`` is how many seconds to wait for pods, and again for namespaces.

    What the decision is based on is included, to be compared before anything is done: ``turn`` is how many turns had
    ended on the cluster, ``files`` are the digests of the files. ``abandoned`` is set where a run that was killed here
    has not given its turn back. ``over`` are GPUs by model that tenants other than the shrinking ones hold beyond
    ``tenants``; they are only counted if an award grows. ``unread`` is why the state could not be read: then the job
    only reclaims. ``purpose`` tells other users what the command is.
    """

    root: Path
    project: str
    at: AwareDatetime
    cluster: ProviderCluster
    cluster_uid: str
    tenants: tuple[Tenant, ...]
    recorded: dict[str, Any]
    origin: Origin
    changed: tuple[str, ...]
    turn: int | None = None
    abandoned: bool = False
    files: dict[str, str] = {}
    over: dict[str, int] = {}
    unread: Told | None = None
    purpose: str = "gpuprov"
    stacks: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    shrinking: tuple[str, ...] = ()
    reclaim: tuple[Reclaim, ...] = ()
    reshard: bool = False
    reconnect: bool = False
    refresh: bool = False
    timeout: float = 120.0

    @property
    def empty(self) -> bool:
        """True if nothing differs."""
        return not (self.changed or self.reclaim or self.reshard or self.reconnect)

    @property
    def idle(self) -> bool:
        """True if nothing differs, and no turn is to be given back either: then no process is started."""
        return self.empty and not self.abandoned


class StackDone(Message):
    """The outcome of a StackRun: the number of objects by Pulumi operation, or the error."""

    stack: str
    operations: dict[str, int] = {}
    error: Told | None = None


class Freed(Message):
    """A tenant that is gone: its GPUs were proven free after ``pods_seconds``, at ``proven_at``, and its namespace was
    gone after ``seconds``.
    """

    award_id: str
    namespace: str
    model: str
    gpus: int
    proven_at: AwareDatetime
    pods_seconds: float
    seconds: float


class Outcome(Message):
    """What one provider's process did. ``error`` is None if everything succeeded.

    ``lowered`` are the awards whose quotas were lowered before Pulumi ran; Pulumi then finds them correct. ``applied``
    are the awards that Pulumi applied, as read back from the cluster; ``operations`` counts the Kubernetes objects by
    Pulumi operation; ``stuck`` are awards that could not be reclaimed, by the reason; ``postponed`` those that wait for
    their GPUs. ``stale`` is what has changed since the decision: what was not done by then has to be decided again.
    """

    provider: str
    lowered: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    operations: dict[str, int] = {}
    freed: tuple[Freed, ...] = ()
    stuck: dict[str, Told] = {}
    postponed: tuple[str, ...] = ()
    seconds: float = 0.0
    stale: Told | None = None
    error: Told | None = None

    @property
    def did_something(self) -> bool:
        """True if the cluster, or the state of its stacks, may have changed."""
        return bool(self.lowered or self.applied or self.operations or self.freed or self.stuck or self.error)

    def then(self, later: Outcome) -> Outcome:
        """Return what both rounds did together; only problems of the later round remain."""
        operations = {
            name: self.operations.get(name, 0) + later.operations.get(name, 0)
            for name in {**self.operations, **later.operations}
        }
        return later.model_copy(
            update={
                "applied": tuple(sorted({*self.applied, *later.applied})),
                "lowered": tuple(sorted({*self.lowered, *later.lowered})),
                "operations": operations,
                "freed": (*self.freed, *later.freed),
                "seconds": self.seconds + later.seconds,
            }
        )
