"""A state that is made anew from a cluster: every reference leads somewhere, and nothing is made up."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import edited
from strategies import AWARD_IDS, cluster, live, tenant
from test_core_shards import awards_in, state

from gpuprov.core.manifests import AWARD_ID, tenant_manifests
from gpuprov.core.outputs import summary
from gpuprov.engine.declared import declared, type_token
from gpuprov.engine.deployment import state_of
from gpuprov.engine.rebuild import rebuilt

KT = cluster("kt-cloud", H200=4000)
PROJECT = "gpuprov"


def made(tenants, before=None):
    """The deployment of the stack with these awards, as Pulumi would read it."""
    outputs = {"tenants": summary([t for t in (of.as_written(KT) for of in tenants.values()) if t])}
    deployment = rebuilt(before, PROJECT, "kt-cloud", cluster=KT, tenants=tenants, said=outputs)
    return json.loads(json.dumps(deployment))


def resources(deployment):
    return {resource["urn"]: resource for resource in deployment["deployment"]["resources"]}


def award(award_id="HPC-1"):
    """An award as Pulumi has written it: with the annotations that its plugin needs."""
    written = live(tenant(award_id, 4, KT, model="H200"), KT)
    return replace(written, objects={key: declared(manifest) for key, manifest in written.objects.items()})


@given(st.lists(AWARD_IDS, unique=True, max_size=5))
def test_it_has_the_awards_of_the_cluster_and_what_was_declared_of_them(award_ids):
    wanted = {award_id: tenant(award_id, 4, KT, model="H200") for award_id in award_ids}
    deployment = made({award_id: award(award_id) for award_id in award_ids})
    assert awards_in(deployment, "kt-cloud") == set(award_ids)
    read = state_of("kt-cloud", PROJECT, deployment)
    assert (read.awards, read.recorded) == (frozenset(award_ids), summary(list(wanted.values())))
    found = [
        (resource["urn"].rpartition("::")[2], resource["type"], json.dumps(resource["inputs"], sort_keys=True))
        for resource in resources(deployment).values()
        if resource["type"].startswith("kubernetes:")
    ]
    assert sorted(found) == sorted(
        (award_id, type_token(manifest), json.dumps(declared(manifest), sort_keys=True))
        for award_id, of in wanted.items()
        for manifest in tenant_manifests(of, KT)
    )


def test_without_an_award_a_stack_has_nothing_but_its_outputs():
    assert [resource["type"] for resource in resources(made({})).values()] == ["pulumi:pulumi:Stack"]


def test_what_the_state_has_beside_awards_is_kept_and_old_awards_are_not():
    before = state("kt-cloud", ["OLD-1"])
    deployment = made({"HPC-1": award()}, before)
    assert awards_in(deployment, "kt-cloud") == {"HPC-1"}
    kinds = [resource["type"] for resource in resources(deployment).values()]
    assert kinds[:3] == ["pulumi:pulumi:Stack", "pulumi:providers:kubernetes", "somebody:index:Else"]
    plugin = next(resource for resource in resources(deployment).values() if "providers" in resource["type"])
    assert plugin["id"] == "11"
    assert deployment["deployment"]["manifest"] == {"time": "now"}
    assert "somebody:index:Else" in [of["type"] for of in resources(made({}, before)).values()]


def test_operations_that_were_not_ended_are_forgotten():
    before = state("kt-cloud", ["HPC-1"])
    before["deployment"]["pending_operations"] = [{"type": "creating", "resource": {"urn": "urn:x"}}]
    assert state_of("kt-cloud", PROJECT, before).pending == ("creating urn:x",)
    assert state_of("kt-cloud", PROJECT, made({"HPC-1": award()}, before)).pending == ()


def test_of_an_object_that_was_edited_the_state_says_what_is_there_and_one_that_is_gone_is_not_in_it():
    def more(quota):
        quota["spec"]["hard"]["requests.nvidia.com/gpu"] = "9"
        quota["spec"]["hard"]["services"] = "1"
        del quota["spec"]["hard"]["pods"]

    tenant = edited(award(), "ResourceQuota", more)
    objects = {key: of for key, of in tenant.objects.items() if key[0] != "RoleBinding"}
    deployment = made({"HPC-1": replace(tenant, objects=objects)})
    by_type = {}
    for resource in resources(deployment).values():
        by_type.setdefault(resource["type"], []).append(resource)
    assert "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding" not in by_type
    (quota,) = (of for of in by_type["kubernetes:core/v1:ResourceQuota"] if of["id"].endswith("/gpu"))
    hard = quota["inputs"]["spec"]["hard"]
    assert (hard["requests.nvidia.com/gpu"], "services" in hard, "pods" in hard) == ("9", False, False)
    assert quota["outputs"]["__inputs"] == quota["inputs"]
    assert quota["outputs"]["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize("settings", [{}, {"groupPrefix": "new:"}])
def test_what_settings_say_that_have_changed_since_is_left_to_the_next_run(settings):
    """The group of the binding is as it was: the state says so, and the next preview shows the change."""
    where = KT.model_copy(update={"group_prefix": settings.get("groupPrefix", KT.group_prefix)})
    deployment = rebuilt(None, PROJECT, "kt-cloud", cluster=where, tenants={"HPC-1": award()}, said={})
    (binding,) = (of for of in resources(deployment).values() if of["type"].endswith(":RoleBinding"))
    assert binding["inputs"]["subjects"][0]["name"] == "gpuprov:hpc-1"


def test_of_a_namespace_that_does_not_tell_its_award_the_state_has_what_is_there():
    def forget(namespace):
        del namespace["metadata"]["annotations"][AWARD_ID]
        namespace["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
        namespace["spec"] = {"finalizers": ["kubernetes"]}

    tenant = edited(award(), "Namespace", forget)
    assert tenant.as_written(KT) is None
    deployment = made({"hpc-1": tenant})
    assert awards_in(deployment, "kt-cloud") == {"hpc-1"}
    (home,) = (of for of in resources(deployment).values() if of["type"] == "kubernetes:core/v1:Namespace")
    assert home["inputs"].keys() == {"apiVersion", "kind", "metadata"}
    assert home["inputs"]["metadata"].keys() == {"name", "labels", "annotations"}
    assert home["outputs"]["spec"] == {"finalizers": ["kubernetes"]}
    assert len(resources(deployment)) == 3 + len(tenant.objects)


def test_the_cluster_is_only_read():
    tenant = award()
    before = deepcopy(tenant)
    made({"HPC-1": tenant})
    assert tenant == before
