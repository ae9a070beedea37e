"""The Pulumi program of one stack: the same for a manual `pulumi up` and for the command line."""

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
from gpuprov.i18n import shown, tr


async def declare(
    cluster: ProviderCluster,
    tenants: Sequence[Tenant],
    cluster_uid: str,
    origin: Origin,
    *,
    only: Collection[str] | None = None,
    recorded: Mapping[str, Any] | None = None,
) -> None:
    """Declare one stack's tenants on its provider's cluster, and export the stack's outputs. Raises pulumi.RunError.

    ``only`` leaves out the components of all other awards, so that a run that targets these costs as much as what
    changed. ``recorded`` is then the value of the output ``tenants``, because the tenants alone do not tell which of
    them were applied. Without tenants the stack has nothing but its outputs.
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


def start(program_of: Callable[[str], Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run the program of the stack that Pulumi has selected, in the process that Pulumi has started for it."""
    pulumi.run(program_of(pulumi.get_stack()))


def explained(work: Callable[[bool], Awaitable[None]]) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a program that turns our errors into pulumi.RunError, in the language in use, without a traceback.

    ``work`` is called with True in a preview.
    """

    async def program() -> None:
        try:
            await work(pulumi.runtime.is_dry_run())
        except PlanRefused as error:
            lines = [shown(tr("refused, nothing was changed:")), *(f"  - {shown(reason)}" for reason in error.reasons)]
            raise pulumi.RunError("\n".join(lines)) from None
        except InputError as error:
            message = tr("nothing was changed:\n{error}", error=error.message_text)
            raise pulumi.RunError(shown(message)) from None
        except GpuprovError as error:
            raise pulumi.RunError(shown(error.message_text)) from None

    return program
