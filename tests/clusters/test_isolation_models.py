"""Awards on one cluster with two GPU models: pods come to servers of their own model, and to no others.

On two clusters: one whose API server runs the admission plugin PodNodeSelector, one without it, as managed clusters
are. On each the attempts are made without the chart's admission policies, then with them.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from isolation import record
from isolation.answers import QUOTA, Outcome, refused
from isolation.attempt import Attempt
from isolation.client import Json
from isolation.lab import LABEL, Lab, as_suppliers_run_it, install, make, specification
from isolation.models import ATTEMPTS, BOTH, CHART, NEITHER, PLUGIN, SETTINGS
from isolation.tenant import Awardee, await_policies, container, pod, pod_spec, settle, template
from isolation.wait import until
from sandbox_fixtures import programs, while_up

from gpuprov.sandbox import Sandbox, controlplane
from gpuprov.sandbox.controlplane import Layout

pytestmark = pytest.mark.sandbox

FORCED, MANAGED = "forced", "managed"
Ends = dict[str, dict[str, list[Outcome]]]
"""By attempt and setting: how it ended for an award of H100, and for one of A100."""


def api_server(layout: Layout) -> list[str]:
    return as_suppliers_run_it(layout, plugin=layout.name == FORCED)


def tried(awardees: list[Awardee]) -> dict[str, list[Outcome]]:
    """Make all attempts with each awardee of a cluster."""
    ends: dict[str, list[Outcome]] = {}
    for attempt in ATTEMPTS:
        ends[attempt.name] = [attempt.act(awardee) for awardee in awardees]
        for awardee in awardees:
            awardee.clean()
    return ends


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ends, list[Lab]]]:
    """Make all attempts in all settings. The clusters are left with the chart's policies, and without awards."""
    specifications = tuple(map(specification, (FORCED, MANAGED)))
    sandbox = Sandbox(tmp_path_factory.mktemp("models") / "root", programs(), specifications)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controlplane, "api_server", api_server)
        with while_up(sandbox):
            labs = [make(sandbox, name, policies=False) for name in (FORCED, MANAGED)]
            with ThreadPoolExecutor(len(labs)) as pool:
                found = dict(zip((PLUGIN, NEITHER), pool.map(partial(phase, policies=False), labs), strict=True))
                for name in (FORCED, MANAGED):
                    install(sandbox, name)
                found |= dict(zip((BOTH, CHART), pool.map(partial(phase, policies=True), labs), strict=True))
            yield {attempt.name: {name: found[name][attempt.name] for name in SETTINGS} for attempt in ATTEMPTS}, labs


def phase(lab: Lab, *, policies: bool) -> dict[str, list[Outcome]]:
    """Make an award of each model, try, and take the awards away."""
    number = int(policies)
    tenants = [lab.tenant(f"TRY-{number}-{pool.model}", pool.model) for pool in lab.provider.pools]
    awardees = [settle(lab, tenant) for tenant in tenants]
    if policies:
        await_policies(awardees[0])
    ends = tried(awardees)
    for tenant in tenants:
        lab.admin.must(lab.admin.delete(f"/api/v1/namespaces/{tenant.namespace}"))
    return ends


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_at_the_other_model_ends_as_expected(world: tuple[Ends, list[Lab]], attempt: Attempt) -> None:
    ends, _ = world
    found = {name: [outcome.by for outcome in outcomes] for name, outcomes in ends[attempt.name].items()}
    assert found == {name: [by, by] for name, by in attempt.expected.items()}


def test_the_answers_are_those_on_record(world: tuple[Ends, list[Lab]]) -> None:
    first = {name: {setting: ends[0] for setting, ends in found.items()} for name, found in world[0].items()}
    record.check("models", [record.row("", attempt, first[attempt.name]) for attempt in ATTEMPTS])


def one_gpu(awardee: Awardee) -> Json:
    return pod_spec(container({"nvidia.com/gpu": "1"}), nodeSelector=awardee.tenant.pool.node_label)


@pytest.mark.parametrize("number", [0, 1], ids=[FORCED, MANAGED])
def test_awards_that_fill_the_cluster_land_on_their_own_models_nodes(
    world: tuple[Ends, list[Lab]], number: int
) -> None:
    """Two awards of 8 H100 and one of 8 A100 use every card that is free, each on its own model."""
    lab = world[1][number]
    models = ("H100", "H100", "A100")
    awardees = [settle(lab, lab.tenant(f"FULL-{index}", model, 8)) for index, model in enumerate(models)]
    for awardee in awardees:
        labels = {"matchLabels": {"app": "attempt"}}
        spec = {"replicas": 8, "selector": labels, "template": template(one_gpu(awardee))}
        reply = awardee.post(f"{awardee.group('apps/v1')}/deployments", {"metadata": {"name": "fill"}, "spec": spec})
        lab.admin.must(reply)
    products = {
        node["metadata"]["name"]: node["metadata"]["labels"][LABEL] for node in lab.admin.items("/api/v1/nodes")
    }
    for awardee in awardees:
        until(lambda owner=awardee: [pod["status"].get("phase") for pod in owner.pods()] == ["Running"] * 8)
        landed = {products[placed["spec"]["nodeName"]] for placed in awardee.pods()}
        assert landed == {awardee.tenant.pool.node_label[LABEL]}
    used = Counter(placed["spec"]["nodeName"] for awardee in awardees for placed in awardee.pods())
    assert used == {lab.node("h100", 0): 8, lab.node("h100", 1): 8, lab.node("a100", 0): 8}
    first = awardees[0]
    more = first.api.post(f"{first.core}/pods", pod("more", 1, nodeSelector=first.tenant.pool.node_label))
    assert refused(more).by == QUOTA
