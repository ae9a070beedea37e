"""What the tests of the plan share: two clusters, plans for them, and a tenant that somebody edited by hand."""

from copy import deepcopy
from dataclasses import replace

from strategies import MARCH, cluster, desired, seen

from gpuprov.core.manifests import FIXED_QUOTA
from gpuprov.core.plan import make_plan

SDS = cluster("samsung-sds", H100=200, A100=80)
KT = cluster("kt-cloud", H200=400)
CLUSTERS = {"samsung-sds": SDS, "kt-cloud": KT}


def plan(awards, *observed, at=MARCH, events=()):
    return make_plan(desired(awards, list(CLUSTERS.values()), at, events), observed, CLUSTERS)


def only(awards, *tenants, at=MARCH, events=()):
    (change,) = plan(awards, seen(SDS, *tenants), at=at, events=events).changes
    return change


def edited(tenant, kind, edit):
    """The live tenant after somebody edited one of its objects by hand; of the quotas the award's own."""
    objects = deepcopy(dict(tenant.objects))
    edit(next(manifest for (of, name), manifest in objects.items() if of == kind and name != FIXED_QUOTA))
    return replace(tenant, objects=objects)
