"""Set-up and credentials: what is said where a context, the chart or the GPUs of an award are missing."""

import shutil

from cli_world import JULY, PROVIDERS, Api, World, answering
from loopback import serving


def test_setup_names_the_administrators_context_where_it_is_not_there(closed: World) -> None:
    ran = closed.run("setup", "--yes", "--json")
    assert (ran.code, ran.data["providers"], ran.data["failed"].keys()) == (5, [], set(PROVIDERS))
    for provider, message in ran.data["failed"].items():
        assert message.startswith(f"{provider}: no usable context '{provider}-admin' in the kubeconfig")
        assert f"{provider} failed: no usable context" in ran.err


def test_setup_without_yes_and_terminal_changes_nothing(world: World) -> None:
    ran = world.run("setup")
    assert (ran.code, "pass --yes" in ran.err) == (2, True)


def test_setup_in_a_project_without_a_chart_takes_the_one_that_comes_with_gpuprov(closed: World) -> None:
    shutil.rmtree(closed.root / "charts")
    ran = closed.run("setup", "--yes", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, set(PROVIDERS))
    assert all("no usable context" in message for message in ran.data["failed"].values())


def test_setup_says_before_it_asks_what_each_cluster_lacks(world: World) -> None:
    answers = Api(bare={"kt-cloud"})
    answers.forbidden.add("elice-cloud")
    with serving(answering(answers)) as url:
        world.contexts({f"{provider}-admin": f"{url}/{provider}" for provider in PROVIDERS})
        ran = world.run("setup")
    rows = {line.split()[0]: line for line in ran.err.splitlines() if line.startswith(PROVIDERS)}
    assert (ran.code, answers.writes) == (2, [])
    assert "elice-cloud  the chart's policies cannot be seen: no rights here" in rows["elice-cloud"]
    assert "kt-cloud     none of the policies gpuprov-" in rows["kt-cloud"]
    assert rows["samsung-sds"].startswith("samsung-sds  its rules are in force; chart version ")


def test_nothing_is_granted_where_the_chart_is_missing(world: World, api: Api) -> None:
    api.bare = {"kt-cloud"}
    ran = world.run("plan", "--json")
    assert ran.code == 4
    (reason,) = ran.data["refused"]
    assert reason.startswith(
        "kt-cloud: the cluster lacks what charts/gpu-cluster brings (none of the policies gpuprov-gpu"
    )
    assert "; the role gpuprov-tenant is not there), so tenants could take more" in reason
    assert world.run("up", "--yes").code == 4
    assert world.run("plan", "--provider", "samsung-sds", "--exit-code").code == 3


def test_a_kubeconfig_is_for_an_award_that_has_gpus(closed: World) -> None:
    ran = closed.run("kubeconfig", "HPC-0000-0-000")
    assert (ran.code, "'HPC-0000-0-000': is in no award list" in ran.err) == (1, True)
    ran = closed.run("kubeconfig", "HPC-2026-1-002", at=JULY)
    assert (ran.code, "has no GPUs (term ended at" in ran.err) == (1, True)
    assert closed.run("kubeconfig", "HPC-2026-1-002").code == 5
    assert not list(closed.root.glob("*.kubeconfig"))
