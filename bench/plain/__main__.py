"""Declares the tenants in tenants.json with Pulumi's typed Kubernetes classes, as a first program would."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s


class AwardTenant(pulumi.ComponentResource):
    """A namespace with quotas, limits, isolation, its page and access."""

    def __init__(self, name: str, objects: list[dict[str, Any]], provider: k8s.Provider) -> None:
        super().__init__("plain:index:AwardTenant", name, {}, pulumi.ResourceOptions(provider=provider))
        space, page, fixed, quota, limits, policy, binding = objects
        home = k8s.core.v1.Namespace(name, metadata=space["metadata"], opts=pulumi.ResourceOptions(parent=self))
        inside = pulumi.ResourceOptions(parent=self, depends_on=[home])
        first = [
            k8s.core.v1.ResourceQuota(f"{name}-fixed", metadata=fixed["metadata"], spec=fixed["spec"], opts=inside),
            k8s.core.v1.ResourceQuota(name, metadata=quota["metadata"], spec=quota["spec"], opts=inside),
            k8s.core.v1.LimitRange(name, metadata=limits["metadata"], spec=limits["spec"], opts=inside),
            k8s.networking.v1.NetworkPolicy(name, metadata=policy["metadata"], spec=policy["spec"], opts=inside),
        ]
        k8s.core.v1.ConfigMap(name, metadata=page["metadata"], data=page["data"], opts=inside)
        k8s.rbac.v1.RoleBinding(
            name,
            metadata=binding["metadata"],
            role_ref=binding["roleRef"],
            subjects=binding["subjects"],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[home, *first]),
        )
        self.register_outputs({})


tenants = json.loads(Path(__file__).with_name("tenants.json").read_text(encoding="utf-8"))
cluster = k8s.Provider("bench", context="bench")
for tenant, manifests in tenants.items():
    AwardTenant(tenant, manifests, cluster)
