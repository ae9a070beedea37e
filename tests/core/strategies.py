"""Builders and hypothesis strategies that the tests of the core share."""

from copy import deepcopy
from datetime import date, datetime, timedelta
from pathlib import Path

import yaml
from hypothesis import strategies as st

from gpuprov.core import award as awards_module
from gpuprov.core import capacity, extensions, ledger
from gpuprov.core.award import Award
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.ledger import Accepted, Extended, Forfeited, Reduced
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.steps import Terms
from gpuprov.core.tenant import Tenant, desired_state
from gpuprov.load.programme import default_programme

PROGRAMME = default_programme()
SEOUL = PROGRAMME.zone
TERMS = Terms(zone=SEOUL, resources=PROGRAMME.resources)
MODELS = tuple(accelerator.name for accelerator in PROGRAMME.accelerators)
JANUARY = datetime(2026, 1, 1, tzinfo=SEOUL)
JULY = datetime(2026, 7, 1, tzinfo=SEOUL)
MARCH = datetime(2026, 3, 1, 12, tzinfo=SEOUL)


def cluster(provider="samsung-sds", uid=None, **capacities):
    """A cluster with a pool for each model that is named; 200 H100 if none is."""
    pools = tuple(
        GpuPool.model_validate(
            {"model": model, "capacity": count, "nodeLabel": {"nvidia.com/gpu.product": f"NVIDIA-{model}"}},
            context=TERMS,
        )
        for model, count in (capacities or {"H100": 200}).items()
    )
    return ProviderCluster(provider=provider, context=provider, uid=uid, pools=pools)


def award(award_id="HPC-1", quantity=8, model="H100", **fields):
    """A valid award of the first half of 2026 at samsung-sds."""
    h100 = PROGRAMME.accelerator(model).equivalents(quantity)
    values = {
        "id": award_id,
        "organization": "한빛대학교",
        "track": "1" if h100 <= 4 else "2",
        "applied_h100": h100,
        "provider": "samsung-sds",
        "model": model,
        "quantity": quantity,
        "first_day": date(2026, 1, 1),
        "last_day": date(2026, 6, 30),
    }
    return Award.model_validate(values | fields)


def _event(kind, award_id, at, **fields):
    return kind(award=award_id, at=at, by="operator", reason="as decided", recorded=at, **fields)


def accepted(award_id, at):
    return _event(Accepted, award_id, at)


def forfeited(award_id, at):
    return _event(Forfeited, award_id, at)


def reduced(award_id, at, quantity):
    return _event(Reduced, award_id, at, quantity=quantity)


def extended(award_id, at, last_day):
    return _event(Extended, award_id, at, last_day=last_day)


def breaches(award):
    return awards_module.breaches(award, PROGRAMME)


def history(award, happened):
    return ledger.history(award, happened, SEOUL)


def histories(awards, happened):
    return ledger.histories(awards, happened, SEOUL)


def unlisted(listed, happened):
    return ledger.unlisted(listed, happened, SEOUL)


def late_extensions(awards, happened):
    return extensions.late_extensions(awards, happened, SEOUL)


def excesses(allocations, clusters):
    return capacity.excesses(allocations, clusters, PROGRAMME)


def desired(awards, clusters, at=MARCH, events=()):
    return desired_state(histories(awards, events), clusters, at)


def tenant(award_id="HPC-1", gpus=8, where=None, model="H100", **fields):
    where = where or cluster()
    values = {
        "award_id": award_id,
        "organization": "한빛대학교",
        "provider": where.provider,
        "pool": where.pool(model),
        "gpus": gpus,
        "term_start": JANUARY,
        "term_end": JULY,
    }
    return Tenant.model_validate(values | fields)


def live(tenant, where, used=0):
    """The tenant as a cluster has it that was written completely, with what a server adds."""
    objects = {}
    for manifest in tenant_manifests(tenant, where):
        observed = deepcopy(dict(manifest))
        observed["metadata"] |= {"uid": f"uid-{len(objects)}", "resourceVersion": "7", "managedFields": []}
        objects[observed["kind"], observed["metadata"]["name"]] = observed
    quota = objects["ResourceQuota", "gpu"]
    quota["status"] = {"hard": quota["spec"]["hard"], "used": {f"requests.{tenant.pool.resource}": str(used)}}
    return ObservedTenant(namespace=tenant.namespace, objects=objects)


def tenant_role():
    """The chart's role of awardees, without what a template fills in."""
    path = Path(__file__).parents[2] / "charts" / "gpu-cluster" / "templates" / "tenant-role.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    return yaml.safe_load("\n".join(line for line in lines if "{{" not in line))


def seen(where, *tenants, uid="uid-1", missing=(), unfit=()):
    """The cluster with its tenants, set up for them unless something is missing, and fit."""
    return ObservedCluster(
        provider=where.provider, uid=uid, tenants=tuple(tenants), missing=tuple(missing), unfit=tuple(unfit)
    )


# Ids as a ministry might print them, and ids that were made to collide.
SIGNS = st.characters(
    exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters=":,\"'\\ \t\n\r\x0b\x0c\x85\u2028\u2029"
)
AWARD_IDS = st.one_of(
    st.from_regex(r"HPC-202[5-7]-[12]-[0-9]{3}", fullmatch=True),
    st.text(st.sampled_from("aAbB01-_.xX가"), min_size=1, max_size=70),
    st.text(SIGNS, min_size=1, max_size=100),
    st.from_regex(r"[A-Za-z0-9]{0,8}-[xX][0-9a-fA-F]{16}", fullmatch=True),
)

HOURS = st.integers(-72, 24 * 14).map(lambda hours: JANUARY + timedelta(hours=hours))
"""Instants around a term from 1 to 7 January."""


@st.composite
def events(draw, award_ids=("HPC-1",)):
    """Any events on the awards, in any order of their instants."""
    kinds = st.sampled_from(["accepted", "forfeited", "reduced", "reduced", "extended", "extended"])
    made = []
    for kind in draw(st.lists(kinds, max_size=7)):
        award_id, at = draw(st.sampled_from(award_ids)), draw(HOURS)
        if kind == "accepted":
            made.append(accepted(award_id, at))
        elif kind == "forfeited":
            made.append(forfeited(award_id, at))
        elif kind == "reduced":
            made.append(reduced(award_id, at, draw(st.integers(1, 20))))
        else:
            made.append(extended(award_id, at, date(2025, 12, 28) + timedelta(days=draw(st.integers(0, 20)))))
    return made
