"""What holds for all suppliers of a project together: none left unseen, and no two lead to one cluster."""

from hypothesis import given
from hypothesis import strategies as st

from gpuprov.core.suppliers import departed, shared_clusters

NAMES = st.sets(st.sampled_from(["elice-cloud", "kt-cloud", "samsung-sds", "zeta"]))


def test_a_supplier_whose_stack_file_is_gone_is_told_with_the_way_out():
    (reason,) = departed({"kt-cloud", "samsung-sds"}, {"samsung-sds"}, ())
    assert reason == (
        "kt-cloud: this project was applied to it, and its stack file Pulumi.kt-cloud.yaml is gone; its tenants may "
        "live on: restore the file (git checkout), tear its awards down with `gpuprov up --provider kt-cloud "
        "--allow-teardown N`, remove the stack with `pulumi stack rm kt-cloud`, "
        "then list it under `retired` in Pulumi.yaml (docs/configuration.md, Taking a supplier out)"
    )


@given(NAMES, NAMES, NAMES)
def test_exactly_the_known_suppliers_that_are_neither_there_nor_retired_have_departed(known, present, retired):
    reasons = departed(known, present, retired)
    assert [reason.split(":")[0] for reason in reasons] == sorted(
        name for name in known if name not in present and name not in retired
    )


def test_a_project_of_today_has_no_departed_suppliers():
    assert departed((), ("kt-cloud",), ()) == departed(("kt-cloud",), ("kt-cloud",), ()) == []


def test_two_suppliers_that_lead_to_one_cluster_are_told_once():
    assert shared_clusters({"kt-cloud": "u-1", "samsung-sds": "u-2"}) == []
    (reason,) = shared_clusters({"zeta": "u-1", "samsung-sds": "u-2", "kt-cloud": "u-1"})
    assert reason == (
        "kt-cloud and zeta lead to one cluster (its kube-system has the UID u-1), whose GPUs would be counted for "
        "each: correct their contexts in the kubeconfig, or make one stack of them with both as `aliases`"
    )


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")))
def test_every_cluster_with_several_suppliers_is_one_reason(uids):
    shared = {uid: sorted(name for name, other in uids.items() if other == uid) for uid in uids.values()}
    expected = sorted(" and ".join(names) for names in shared.values() if len(names) > 1)
    assert [reason.partition(" lead to ")[0] for reason in shared_clusters(uids)] == expected
