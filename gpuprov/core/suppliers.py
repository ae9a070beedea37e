"""What holds for all suppliers of a project together: none leaves unseen, and no two lead to one cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gpuprov.i18n import all_of, tr


def departed(known: Collection[str], project_providers: Collection[str], retired: Collection[str]) -> list[str]:
    """Return a reason to refuse for each provider that the project was applied to and that it has lost since.

    Nobody observes a cluster whose stack file is gone, so tenants could live there for ever. ``known`` are the names
    that the stacks' outputs tell of, ``retired`` those whose stack files are gone by intent (docs/configuration.md).
    """
    lost = sorted(set(known) - set(project_providers) - set(retired))
    return [
        tr(
            "{provider}: this project was applied to it, and its stack file Pulumi.{provider}.yaml is gone; its "
            "tenants may live on: restore the file (git checkout), tear its awards down with `gpuprov up --provider "
            "{provider} --allow-teardown N`, remove the stack with `pulumi stack rm {provider}`, then list it under "
            "`retired` in Pulumi.yaml (docs/configuration.md, Taking a supplier out)",
            provider=name,
        )
        for name in lost
    ]


def shared_clusters(uids: Mapping[str, str]) -> list[str]:
    """Return a reason to refuse for each cluster that several providers lead to.

    ``uids`` has for each provider the UID of its cluster's kube-system namespace, as it was observed, pinned, or told
    by the stacks' outputs.
    """
    providers: dict[str, list[str]] = {}
    for provider, uid in sorted(uids.items()):
        providers.setdefault(uid, []).append(provider)
    return sorted(
        tr(
            "{providers} lead to one cluster (its kube-system has the UID {uid}), whose GPUs would be counted for "
            "each: correct their contexts in the kubeconfig, or make one stack of them with both as `aliases`",
            providers=all_of(names),
            uid=uid,
        )
        for uid, names in providers.items()
        if len(names) > 1
    )
