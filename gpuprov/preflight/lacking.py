"""What a cluster lacks of charts/gpu-cluster: what the guard asks for before it grants, in the preflight's words."""

from __future__ import annotations

from gpuprov.preflight import dra, policies, role
from gpuprov.preflight.facts import Live, Seen, Unread


def lacking(
    admission_policies: Seen, bindings: Seen, tenant_role: Live | Unread | None, device_classes: Seen
) -> tuple[str, ...]:
    """Return a phrase for each thing without which tenants could take more than they are given.

    Each is a line of the preflight that fails. What cannot be seen is lacking: the chart gives the rights to see it.
    """
    return (
        *policies.lacking(admission_policies, bindings),
        *role.lacking(tenant_role),
        *dra.unseen(device_classes),
    )
