"""What the tests of the rules share: the objects of two tenants, ways to change them, and what the rules say then."""

from copy import deepcopy

from strategies import JULY, MARCH, cluster, tenant

from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.rules import Bounds, violations

SDS = cluster("samsung-sds", H100=16, A100=32)
FIRST, SECOND = tenant("HPC-1", 8, SDS), tenant("HPC-2", 16, SDS, "A100")
NAMES = {
    "ResourceQuota": "gpu",
    "fixed quota": "fixed",
    "LimitRange": "defaults",
    "NetworkPolicy": "isolation",
    "ConfigMap": "welcome",
    "RoleBinding": "awardee",
}
"""The objects in a tenant's namespace, by how a test calls them."""


def bounds(*tenants, where=SDS, end=JULY):
    return Bounds.of(where, tenants, MARCH, end)


def written(*tenants, where=SDS):
    """The tenants' objects, to be changed by a test."""
    return deepcopy([dict(manifest) for each in tenants for manifest in tenant_manifests(each, where)])


def first(objects, name):
    return next(manifest for manifest in objects if name in (manifest["kind"], manifest["metadata"]["name"]))


def by_kind(objects):
    """The objects of the first of the tenants, by how a test calls them."""
    return {kind: first(objects, name) for kind, name in NAMES.items()} | {"Namespace": first(objects, "Namespace")}


def said(objects, limits=None):
    return [(violation.rule, violation.text) for violation in violations(objects, limits or bounds(FIRST, SECOND))]


def broken(change, limits=None):
    """Change the objects of the two tenants, by kind those of the first one, and return what rules say then."""
    objects = written(FIRST, SECOND)
    change(by_kind(objects) | {"all": objects})
    return said(objects, limits)


def spec(kind, **fields):
    return lambda by_kind: by_kind[kind]["spec"].update(fields)


def annotated(**fields):
    return lambda by_kind: by_kind["Namespace"]["metadata"]["annotations"].update(
        {name.replace("_", "-").replace("gpuprov-", "gpuprov.dev/"): value for name, value in fields.items()}
    )
