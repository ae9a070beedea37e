"""What the stacks of a provider say after a run: which cluster it was, through which context, what each award had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.tenant import Tenant

UID = "clusterUid"
CONTEXT = "context"
SHARDS = "shards"
TENANTS = "tenants"
PROVIDERS = "providers"
LEDGER = "ledger"


class Origin(BaseModel):
    """What a run was decided from, which its stacks' outputs remember: the project's providers, and how much of the
    ledger there was (`gpuprov.core.ledger.LedgerMark`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    providers: tuple[str, ...]
    ledger: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs:
    """The outputs of a provider's stacks, taken together. All is empty before the first run.

    ``shards`` is into how many stacks the provider was split then, ``stacks`` are those that exist, ``tenants`` is what
    they say of each award. ``misplaced`` counts the awards that are in another stack than they belong to now.
    ``providers`` are all that the project had in any of those runs, ``ledger`` the longest ledger that any rested on.
    """

    cluster_uid: str | None = None
    context: str | None = None
    shards: int = 1
    stacks: tuple[str, ...] = ()
    tenants: Mapping[str, Any] = field(default_factory=dict)
    misplaced: int = 0
    providers: frozenset[str] = frozenset()
    ledger: Mapping[str, Any] | None = None


def read(cluster: ProviderCluster, printed: Mapping[str, Mapping[str, Any] | None]) -> StackOutputs:
    """Read what `pulumi stack output --json` printed for each stack; None is a stack that does not exist.

    Where stacks disagree about the cluster or the context, a run ended before it had told all of them: the one that
    differs from ``cluster`` counts, so that it is told again.
    """
    existing = {stack: outputs for stack, outputs in printed.items() if outputs is not None}
    applied = [outputs for outputs in existing.values() if outputs]
    contexts = [str(outputs[CONTEXT]) for outputs in applied if outputs.get(CONTEXT)]
    tenants: dict[str, Any] = {}
    misplaced = 0
    for stack, outputs in existing.items():
        for award_id, tenant in (outputs.get(TENANTS) or {}).items():
            home = cluster.stack_of(award_id) == stack
            misplaced += not home
            if home or award_id not in tenants:
                tenants[award_id] = tenant
    return StackOutputs(
        cluster_uid=next((str(outputs[UID]) for outputs in applied if outputs.get(UID)), None),
        context=next(
            (context for context in contexts if context != cluster.context), contexts[0] if contexts else None
        ),
        shards=max((int(outputs.get(SHARDS) or 1) for outputs in applied), default=1),
        stacks=tuple(existing),
        tenants=tenants,
        misplaced=misplaced,
        providers=frozenset(str(name) for outputs in applied for name in outputs.get(PROVIDERS) or ()),
        ledger=max(
            (outputs[LEDGER] for outputs in applied if outputs.get(LEDGER)),
            key=lambda mark: int(mark["events"]),
            default=None,
        ),
    )


def summary(tenants: Sequence[Tenant]) -> dict[str, dict[str, Any]]:
    """Return what the stack's output ``tenants`` says of each award: namespace, quota and term."""
    return {
        tenant.award_id: {
            "namespace": tenant.namespace,
            "model": str(tenant.pool.model),
            "quota": {f"requests.{tenant.pool.resource}": tenant.gpus},
            "term": {"start": tenant.term_start.isoformat(), "end": tenant.term_end.isoformat()},
        }
        for tenant in tenants
    }
