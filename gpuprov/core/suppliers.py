"""What holds for all suppliers of a project together: none leaves unseen, and no two lead to one cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def departed(known: Collection[str], project_providers: Collection[str], retired: Collection[str]) -> list[str]:
    """Return a reason to refuse for each provider that the project was applied to and that it has lost since.

    Nobody observes a cluster whose stack file is gone, so tenants could live there for ever. ``known`` are the names
    that the stacks' outputs tell of, ``retired`` those whose stack files are gone by intent (docs/configuration.md).
    """
    lost = sorted(set(known) - set(project_providers) - set(retired))
    return [
        f"{name}: this project was applied to it, and its stack file Pulumi.{name}.yaml is gone; its tenants may live "
        f"on: restore the file (git checkout), tear its awards down with `gpuprov up --provider {name} "
        f"--allow-teardown N`, remove the stack with `pulumi stack rm {name}`, "
        "then list it under `retired` in Pulumi.yaml (docs/configuration.md, Taking a supplier out)"
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
        f"{' and '.join(names)} lead to one cluster (its kube-system has the UID {uid}), whose GPUs would be counted "
        "for each: correct their contexts in the kubeconfig, or make one stack of them with both as `aliases`"
        for uid, names in providers.items()
        if len(names) > 1
    )
