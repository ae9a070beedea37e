"""The Pulumi program of one stack: the same for `pulumi up` by hand and for the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

import pulumi

from gpuprov.core import outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant
from gpuprov.engine.component import award_tenant, kubernetes_provider
from gpuprov.engine.registry import open_registry, side_by_side
from gpuprov.errors import GpuprovError, InputError, PlanRefused


async def declare(
    cluster: ProviderCluster,
    tenants: Sequence[Tenant],
    cluster_uid: str,
    origin: Origin,
    *,
    only: Collection[str] | None = None,
    recorded: Mapping[str, Any] | None = None,
) -> None:
    """Declare one stack's tenants on its provider's cluster and export what they are. Raises pulumi.RunError.

    ``only`` leaves out the components of all other awards, for a run that targets these so that its cost follows what
    changed; ``recorded`` is then what the output ``tenants`` says, since the tenants alone do not tell what of them was
    applied. Without tenants the stack is empty but for its outputs.
    """
    pulumi.export(outputs.UID, cluster_uid)
    pulumi.export(outputs.CONTEXT, cluster.context)
    pulumi.export(outputs.SHARDS, cluster.shards)
    pulumi.export(outputs.PROVIDERS, list(origin.providers))
    pulumi.export(outputs.LEDGER, origin.ledger)
    pulumi.export(outputs.TENANTS, outputs.summary(tenants) if recorded is None else dict(recorded))
    if not tenants:
        return
    registry = await open_registry()
    provider = kubernetes_provider(registry, cluster)
    wanted = [tenant for tenant in tenants if only is None or tenant.award_id in only]
    await side_by_side(lambda tenant: award_tenant(registry, provider, tenant, cluster), wanted)


def explained(work: Callable[[bool], Awaitable[None]]) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a program that says in plain words why it cannot be declared, as Pulumi prints a pulumi.RunError.

    ``work`` is told whether it is a preview.
    """

    async def program() -> None:
        try:
            await work(pulumi.runtime.is_dry_run())
        except PlanRefused as error:
            lines = "".join(f"\n  - {reason}" for reason in error.reasons)
            raise pulumi.RunError(f"refused, nothing was changed:{lines}") from None
        except InputError as error:
            raise pulumi.RunError(f"nothing was changed:\n{error}") from None
        except GpuprovError as error:
            raise pulumi.RunError(str(error)) from None

    return program
