"""The table "Who wins" of docs/architecture.md, and the situations that its rows speak of, built of the real core.

A situation has two awards in the same position, so that the guard, which always lets one pass, has an opinion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path

from strategies import (
    JULY,
    MARCH,
    PROGRAMME,
    SEOUL,
    accepted,
    award,
    cluster,
    extended,
    forfeited,
    histories,
    live,
    reduced,
    seen,
    tenant,
    unlisted,
)

from gpuprov.core.award import Award
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.ledger import Event
from gpuprov.core.manifests import BINDING, QUOTA
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.outputs import StackOutputs, summary
from gpuprov.core.plan import make_plan
from gpuprov.core.tenant import Desired, Tenant
from gpuprov.load.project import Project
from gpuprov.run import pipeline
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext

SDS = cluster("samsung-sds", H100=200, A100=400)
KT = cluster("kt-cloud", H200=400)
HERE, THERE = SDS.provider, KT.provider
PROJECT = Project(
    root=Path("project"),
    name="gpuprov",
    clusters=(SDS, KT),
    awards=(),
    ledger=Path("ledger"),
    columns=None,
    programme=PROGRAMME.model_copy(update={"end": datetime(2027, 1, 1, tzinfo=SEOUL)}),
)
IDS = ("HPC-1", "HPC-2")

AT = MARCH
FEBRUARY = AT - timedelta(days=28)
APRIL = AT + timedelta(days=31)
OVER = datetime.fromisoformat("2026-03-01T00:00+09:00")
"""The end of a term whose last day is 28 February."""

AXES: Mapping[str, tuple[str, ...]] = {
    "list": ("selected", "over", "not begun", "forfeited", "waitlisted", "gone"),
    "ledger": ("nothing", "forfeited", "ended", "reduced", "extended", "to be forfeited", "to be reduced"),
    "cluster": ("nothing", "there", "damaged", "terminating"),
    "promise": ("runs", "over"),
    "place": ("same", "supplier", "model"),
}
ANSWERS = ("plan, up", "expire", "forfeit", "pulumi up")
ANY = "any"

Key = tuple[str, ...]
"""A value for each axis."""


@dataclass(frozen=True)
class Row:
    """A row of the table: the values that it speaks of, by axis, and what it says, by command."""

    when: Mapping[str, tuple[str, ...]]
    says: Mapping[str, str]
    text: str

    def matches(self, key: Key) -> bool:
        return all(value in self.when[axis] for axis, value in zip(AXES, key, strict=True))


def rows(document: str) -> list[Row]:
    """Read the table under the heading "Who wins". An unknown word in it is a KeyError or a ValueError."""
    (section,) = re.findall(r"^## Who wins$(.*?)^## ", document, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    if head != [*AXES, *(f"`{answer}`" if answer != "plan, up" else "`plan`, `up`" for answer in ANSWERS)]:
        raise ValueError(f"another head than expected: {head}")
    return [_row(cells) for cells in body]


def _row(cells: Sequence[str]) -> Row:
    when = {}
    for (axis, values), cell in zip(AXES.items(), cells, strict=False):
        named = values if cell == ANY else tuple(part.strip() for part in cell.split(","))
        if unknown := set(named) - set(values):
            raise ValueError(f"{axis} has no {unknown}: {cells}")
        when[axis] = named
    return Row(when=when, says=dict(zip(ANSWERS, cells[len(AXES) :], strict=True)), text=" | ".join(cells[: len(AXES)]))


def keys() -> list[Key]:
    """Return the full product of all axes."""
    return list(product(*AXES.values()))


# ---- from words to what the core works with


@dataclass(frozen=True)
class Played:
    """A project's files as they were read, and its clusters as they are."""

    key: Key
    loaded: Loaded
    observed: tuple[ObservedCluster, ...]

    @property
    def lives(self) -> bool:
        """Whether the awards have anything on a cluster."""
        return bool(self.observed[0].tenants)

    def observe_and_plan(self, loaded: Loaded, desired: Desired, providers: Sequence[str]) -> PlanContext:
        """Stand for `pipeline.observe_and_plan` on these clusters. A LIST shows what carries our labels."""
        outputs = {cluster.provider: _outputs(cluster) for cluster in self.observed if cluster.provider in providers}
        observed = tuple(
            pipeline.with_unlabelled(
                replace(cluster, tenants=tuple(filter(_labelled, cluster.tenants))),
                loaded.project.by_provider[cluster.provider],
                outputs[cluster.provider].tenants,
            )
            for cluster in self.observed
            if cluster.provider in providers
        )
        return PlanContext(
            project=loaded.project,
            files={},
            origin=loaded.origin,
            events=loaded.events,
            desired=desired,
            observed=observed,
            outputs=outputs,
            plan=make_plan(desired, observed, loaded.project.by_provider),
        )

    def find(self, cluster: ProviderCluster, names: Sequence[str]) -> list[ObservedTenant]:
        """Stand for `observe.find`."""
        (observed,) = (candidate for candidate in self.observed if candidate.provider == cluster.provider)
        return [tenant for tenant in observed.tenants if tenant.namespace in names]

    def living(self, clusters: object, besides: Sequence[str], award_ids: object) -> tuple[set[str], dict[str, object]]:
        """Stand for `pipeline.living`."""
        return {cluster.provider for cluster in self.observed if cluster.tenants} - set(besides), {}


def _labelled(tenant: ObservedTenant) -> bool:
    return bool(tenant.objects["Namespace", tenant.namespace]["metadata"]["labels"])


def _outputs(cluster: ObservedCluster) -> StackOutputs:
    """What the stack remembers of the run that wrote the tenants."""
    recorded = summary([_tenant(award_id, "runs") for award_id in IDS]) if cluster.tenants else {}
    stacks = (cluster.provider,) if cluster.tenants else ()
    return StackOutputs(
        cluster_uid=cluster.uid, context=cluster.provider if recorded else None, stacks=stacks, tenants=recorded
    )


def situations(key: Key) -> Iterator[Played]:
    """Yield every variant of a situation: whatever a word of the table stands for."""
    situation = dict(zip(AXES, key, strict=True))
    for listed, happened in _papers(situation["list"], situation["ledger"], situation["place"]):
        for tenants in _lives(situation["cluster"], situation["promise"]):
            yield Played(
                key=key, loaded=_loaded(listed, happened), observed=(seen(SDS, *tenants), seen(KT, uid="uid-2"))
            )


def _loaded(awards: Sequence[Award], events: Sequence[Event]) -> Loaded:
    return Loaded(
        project=PROJECT,
        files={},
        histories=histories(awards, events),
        events=tuple(events),
        unlisted=unlisted({award.id for award in awards}, events),
        excesses=(),
        warnings=(),
    )


def with_events(loaded: Loaded, more: Sequence[Event]) -> Loaded:
    """The same project after these were written to its ledger."""
    return _loaded([recorded.award for recorded in loaded.histories], [*loaded.events, *more])


PLACES = {
    "same": {"quantity": 8},
    "supplier": {"quantity": 8, "model": "H200", "provider": KT.provider},
    "model": {"quantity": 32, "model": "A100"},
}
TERMS = {"over": {"last_day": date(2026, 2, 28)}, "not begun": {"first_day": date(2026, 4, 1)}}
STATUSES = ("selected", "forfeited", "waitlisted")


def _papers(in_list: str, in_ledger: str, place: str) -> Iterator[tuple[list[Award], list[Event]]]:
    """Yield lists and ledgers that say so."""
    for events in _LEDGERS[in_ledger]:
        if in_list == "gone":
            if in_ledger != "nothing" or not events:  # any event makes the award known
                yield [], _for_all(events)
            continue
        fields = PLACES[place] | TERMS.get(in_list, {})
        status = in_list if in_list in STATUSES else "selected"
        late = in_list == "over" and in_ledger == "extended"
        yield [award(award_id, status=status, **fields) for award_id in IDS], _for_all(_LATE if late else events)
    # The list says by now what the ledger said first.
    if in_list == "selected" and in_ledger == "reduced":
        yield (
            [award(award_id, **PLACES[place] | {"quantity": 3, "applied_h100": 3}) for award_id in IDS],
            _for_all(_LEDGERS[in_ledger][0]),
        )
    # An extension that came in time.
    if in_list == "selected" and in_ledger == "extended":
        yield [award(award_id, **PLACES[place], **TERMS["over"]) for award_id in IDS], _for_all(_LEDGERS[in_ledger][0])


def _for_all(events: Sequence[Event]) -> list[Event]:
    return [event.model_copy(update={"award": award_id}) for award_id in IDS for event in events]


_LEDGERS: Mapping[str, Sequence[Sequence[Event]]] = {
    "nothing": [[], [accepted("?", FEBRUARY)]],
    "forfeited": [
        [forfeited("?", FEBRUARY)],
        [extended("?", FEBRUARY, date(2026, 8, 31)), reduced("?", FEBRUARY, 3), forfeited("?", AT)],
    ],
    "ended": [
        [extended("?", FEBRUARY, date(2026, 2, 28))],
        [extended("?", FEBRUARY, date(2026, 2, 20)), forfeited("?", APRIL)],
    ],
    "reduced": [[reduced("?", FEBRUARY, 3)], [reduced("?", FEBRUARY, 5), reduced("?", AT, 4)]],
    "extended": [[extended("?", FEBRUARY, date(2026, 8, 31))], [extended("?", FEBRUARY, date(2026, 4, 30))]],
    "to be forfeited": [[forfeited("?", APRIL)]],
    "to be reduced": [[reduced("?", APRIL, 3)]],
}
_LATE = [extended("?", OVER + timedelta(hours=6), date(2026, 8, 31))]
"""Counts for nothing: the term was over."""

PROMISES = {"runs": JULY, "over": OVER}


def _tenant(award_id: str, promise: str) -> Tenant:
    return tenant(award_id, 8, SDS, term_end=PROMISES[promise])


@cache
def _lives(state: str, promise: str) -> Sequence[Sequence[ObservedTenant]]:
    """Return what the first cluster may have of the awards."""
    if state == "nothing":
        return [[]]
    whole = [live(_tenant(award_id, promise), SDS, used=2) for award_id in IDS]
    if state == "there":
        return [whole]
    if state == "terminating":
        return [[_edited(tenant, _deleted) for tenant in whole]]
    return [[_edited(tenant, edit) for tenant in whole] for edit in (_no_binding, _no_quota, _no_gpus, _no_labels)]


def _edited(tenant: ObservedTenant, edit: object) -> ObservedTenant:
    objects = deepcopy(dict(tenant.objects))
    edit(objects, tenant.namespace)
    return replace(tenant, objects=objects)


def _deleted(objects, namespace):
    objects["Namespace", namespace]["metadata"]["deletionTimestamp"] = "2026-03-01T02:59:59Z"


def _no_binding(objects, namespace):
    del objects["RoleBinding", BINDING]


def _no_quota(objects, namespace):
    del objects["ResourceQuota", QUOTA]


def _no_gpus(objects, namespace):
    """A teardown that was cut off: access and quota are taken, pods and namespace are not."""
    _no_binding(objects, namespace)
    hard = objects["ResourceQuota", QUOTA]["spec"]["hard"]
    hard |= {name: "0" for name in hard if "nvidia" in name}


def _no_labels(objects, namespace):
    """Found by its name, as `observe.find` reads it."""
    objects["Namespace", namespace]["metadata"]["labels"] = {}
    for kind, name in [key for key in objects if key[0] not in ("Namespace", "ResourceQuota")]:
        del objects[kind, name]
