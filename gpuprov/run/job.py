"""What one provider's process is told to do, and what it answers: plain data that crosses a process boundary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant


class Message(BaseModel):
    """Something that one process tells another."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reclaim(Message):
    """A tenant to take back, with the GPUs that its quota grants now."""

    award_id: str
    namespace: str
    model: str
    gpus: int


class Job(Message):
    """One provider's part of a plan. The process decides nothing: the tenants were decided and guarded before.

    ``at`` is the instant for which it was decided. ``changed`` are the awards that differ and may be changed;
    ``growing`` those among them that get GPUs which others may have to give back first; ``shrinking`` those that get
    fewer. ``recorded`` is what the outputs of all the provider's stacks said of its tenants after their last runs,
    ``stacks`` the ones that exist. ``reshard`` is set where awards are in another stack than they belong to.
    ``reconnect`` is set where the context's name was changed: a run with targets would go on with the old one, so all
    awards are declared once. ``timeout`` in seconds bounds the waiting for pods, and again for the namespaces.

    What the decision rests on comes along, to be compared before anything is done: ``turn`` is how many runs had ended
    on the cluster, ``files`` are the digests of the files. ``over`` are GPUs by model that tenants hold beyond what
    ``tenants`` says, apart from the shrinking ones; they are counted where anybody grows. ``unread`` is why the state
    could not be read: then the job only takes back. ``purpose`` tells others what we are doing.
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
    files: dict[str, str] = {}
    over: dict[str, int] = {}
    unread: str | None = None
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
        """True where nothing differs: then no process is started at all."""
        return not (self.changed or self.reclaim or self.reshard or self.reconnect)


class StackDone(Message):
    """What became of a StackRun: objects by Pulumi's operation, or the error."""

    stack: str
    operations: dict[str, int] = {}
    error: str | None = None


class Freed(Message):
    """A tenant that is gone: ``pods_seconds`` until its GPUs were proven free, ``seconds`` until its namespace was."""

    award_id: str
    namespace: str
    model: str
    gpus: int
    pods_seconds: float
    seconds: float


class Outcome(Message):
    """What one provider's process did. ``error`` is None where all of it succeeded.

    ``lowered`` are the awards whose quotas were lowered first, before Pulumi, which then finds them as they should be.
    ``applied`` are the awards that Pulumi brought to what they should be, as read back from the cluster; ``operations``
    the Kubernetes objects that it wrote or deleted on the way; ``stuck`` are awards that could not be reclaimed,
    ``postponed`` those that wait for their GPUs. ``stale`` is what has changed since the decision was made: what was
    not done by then has to be decided again.
    """

    provider: str
    lowered: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    operations: dict[str, int] = {}
    freed: tuple[Freed, ...] = ()
    stuck: dict[str, str] = {}
    postponed: tuple[str, ...] = ()
    seconds: float = 0.0
    stale: str | None = None
    error: str | None = None

    @property
    def did_something(self) -> bool:
        """True where the cluster, or the state of its stacks, may not be any more as it was."""
        return bool(self.lowered or self.applied or self.operations or self.freed or self.stuck or self.error)

    def then(self, later: Outcome) -> Outcome:
        """Return what both rounds did together; what went wrong in the first and not in the second is over."""
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
