"""The clusters of a new project: as they were asked for, with the pools that their nodes offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.core.steps import Terms
from gpuprov.core.suppliers import shared_clusters
from gpuprov.errors import ClusterError, InputError, Problem
from gpuprov.i18n import joined, tr
from gpuprov.kube.servers import Servers, read_servers
from gpuprov.load.cells import CellProblem
from gpuprov.load.details import details
from gpuprov.load.words import Words
from gpuprov.preflight.nodes import PRODUCT, Node
from gpuprov.run.aside import read_all
from gpuprov.run.newproject import AskPools, NewPool, Supplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The pools that nodes offer. ``remarks`` are for the operator: what was left out, and why."""

    pools: tuple[NewPool, ...]
    remarks: tuple[str, ...] = ()


def clusters_of(
    suppliers: Sequence[Supplier], programme: Programme, ask: AskPools | None = None
) -> tuple[tuple[ProviderCluster, ...], list[str]]:
    """Return the suppliers' clusters, and remarks. Reads the clusters of those without pools, in parallel.

    Where a cluster cannot be read, ``ask`` is called, or there is a problem. Raises InputError with every problem.
    """
    reads = {
        supplier.name: partial(
            read_servers, supplier.name, supplier.admin_context or supplier.context, supplier.exec_plugins
        )
        for supplier in suppliers
        if not supplier.pools
    }
    servers, unread = read_all(reads, ClusterError)
    complete: list[Supplier] = []
    problems: list[Problem] = []
    remarks: list[str] = []
    for supplier in suppliers:
        try:
            if supplier.name in servers:
                offer = _offer(supplier.name, servers[supplier.name], programme)
                remarks += offer.remarks
                complete.append(replace(supplier, pools=offer.pools, uid=servers[supplier.name].uid))
            elif supplier.name in unread:
                reason = tr("its pools cannot be read: {error}", error=unread[supplier.name].message)
                raise InputError([_pass_pools(supplier.name, reason)])
            else:
                complete.append(supplier)
        except InputError as error:
            if ask is None:
                problems += error.problems
            else:
                complete.append(replace(supplier, pools=ask(supplier.name, error.problems[0].message)))
    clusters = [cluster for supplier in complete if (cluster := _cluster(supplier, programme, problems)) is not None]
    uids = {cluster.provider: cluster.uid for cluster in clusters if cluster.uid is not None}
    problems += [
        Problem(argument="--supplier", message=reason, remedy=tr("correct their contexts"))
        for reason in shared_clusters(uids)
    ]
    if problems:
        raise InputError(problems)
    return tuple(clusters), remarks


def pools_of(nodes: Sequence[Node], programme: Programme) -> Offer:
    """Return a pool for each accelerator of the programme that nodes offer, by their label ``nvidia.com/gpu.product``.

    GPUs count where they are allocatable on a ready, schedulable node, as the preflight counts them. Nodes of two
    products that are one accelerator cannot be told by one label: none of them is in a pool then.
    """
    words = Words(programme)
    gpus: dict[str, dict[str, int]] = {}
    strange: set[str] = set()
    out = [node.name for node in nodes if PRODUCT in node.labels and node.obstacle]
    for node in (node for node in nodes if PRODUCT in node.labels and not node.obstacle):
        product = node.labels[PRODUCT]
        try:
            model = words.model(product)
        except CellProblem:
            strange.add(product)
            continue
        products = gpus.setdefault(model, {})
        products[product] = products.get(product, 0) + node.offers.get(programme.accelerator(model).resource, 0)
    remarks: list[str] = [
        tr("{product} is no accelerator of the programme; its nodes are in no pool", product=product)
        for product in sorted(strange)
    ]
    if out:
        remarks.append(tr("not counted, because no pod comes there: {nodes}", nodes=", ".join(sorted(out))))
    pools = []
    for model, products in sorted(gpus.items()):
        offered = {product: amount for product, amount in products.items() if amount}
        if len(offered) > 1:
            names = ", ".join(sorted(offered))
            remarks.append(
                tr(
                    "{model} is in no pool: a pool has one label, and its nodes have {label} {names}",
                    model=model,
                    label=PRODUCT,
                    names=names,
                )
            )
        pools += [
            NewPool(model=model, gpus=amount, label=PRODUCT, value=product)
            for product, amount in offered.items()
            if len(offered) == 1
        ]
    return Offer(pools=tuple(pools), remarks=tuple(remarks))


def _offer(provider: str, servers: Servers, programme: Programme) -> Offer:
    """Return what the nodes offer. Raises InputError where that is no pool at all."""
    offer = pools_of(servers.nodes, programme)
    remarks = tuple(tr("{provider}: {remark}", provider=provider, remark=remark) for remark in offer.remarks)
    if not offer.pools:
        names = ", ".join(programme.resources)
        message = tr("no node offers {names} and has a label {label} that says so", names=names, label=PRODUCT)
        raise InputError([_pass_pools(provider, joined("; ", [message, *offer.remarks]))])
    return replace(offer, remarks=remarks)


def _pass_pools(provider: str, message: str) -> Problem:
    remedy = tr(
        "correct its context, or pass each pool as --pool {provider}:MODEL=GPUS:LABEL=VALUE, with its nodes' label",
        provider=provider,
    )
    return Problem(argument="--supplier", value=provider, message=message, remedy=remedy)


def _cluster(supplier: Supplier, programme: Programme, problems: list[Problem]) -> ProviderCluster | None:
    settings: Mapping[str, Any] = {
        "provider": supplier.name,
        "context": supplier.context,
        "adminContext": supplier.admin_context,
        "execPlugins": supplier.exec_plugins,
        "uid": supplier.uid,
        "pools": [pool.configuration for pool in supplier.pools],
    }
    try:
        return ProviderCluster.model_validate(
            settings, context=Terms(zone=programme.zone, resources=programme.resources)
        )
    except ValidationError as error:
        for detail in details(error, tr("see {document}", document="docs/configuration.md")):
            place = ".".join(map(str, detail.place))
            message = detail.message
            if detail.value is not None:
                message = tr("{value!r} {message}", value=detail.value, message=message)
            problem = Problem(
                argument="--pool" if place.startswith("pools") else "--supplier",
                value=f"{supplier.name} {place}".strip(),
                message=message,
                remedy=detail.remedy,
            )
            problems.append(problem)
        return None
