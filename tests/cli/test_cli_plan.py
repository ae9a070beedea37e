"""Plans, what guards them, and status, on clusters that answer from a table. Nothing is started."""

from typing import Any

from cli_world import JULY, MARCH, PROVIDERS, Api, World

# ---- plans


def test_pending_changes_are_3_only_where_asked_for(world: World, api: Api) -> None:
    ran = world.run("plan", "--json", "--exit-code")
    assert ran.code == 3
    assert {change["op"] for change in ran.data["changes"]} == {"create"}
    assert (len(ran.data["changes"]), ran.data["unchanged"]) == (120, 0)
    assert (ran.data["at"], ran.data["providers"]) == (MARCH, list(PROVIDERS))
    assert (ran.data["failed"], ran.data["refused"]) == ({}, [])
    assert world.run("plan", "--json").code == 0


def test_where_nothing_differs_there_is_nothing_to_do(world: World, full: Api) -> None:
    ran = world.run("plan", "--exit-code")
    assert (ran.code, ran.out) == (0, f"at {MARCH}: nothing to change, 120 unchanged\n")
    done = world.run("up", "--json")  # no --yes: there is nothing to ask about
    assert (done.code, done.data["failed"]) == (0, {})
    assert [outcome["provider"] for outcome in done.data["providers"]] == list(PROVIDERS)


def test_the_table_is_short_unless_it_is_wanted_in_full(world: World, api: Api) -> None:
    short = world.run("plan")
    changes = world.run("plan", "--json").data["changes"]
    groups: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        groups.setdefault((change["provider"], change["model"]), []).append(change["after"])
    header, *totals = [line.split() for line in short.out.split("\n\n")[0].splitlines()]
    assert header == ["change", "provider", "model", "awards", "GPUs"]
    assert totals == [
        ["create", *group, str(len(gpus)), "0", "→", str(sum(gpus))] for group, gpus in sorted(groups.items())
    ]
    assert "\n… 120 awards in these groups (`gpuprov plan --full` shows all)\n" in short.out
    full = world.run("plan", "--full")
    assert sum(line.startswith("create ") for line in full.out.splitlines()) == 120
    assert "120 to create, 0 unchanged" in full.out


def test_markdown_has_a_row_for_each_change(world: World, api: Api) -> None:
    ran = world.run("plan", "--markdown", "--provider", "kt-cloud")
    lines = ran.out.splitlines()
    assert (ran.code, lines[0]) == (0, f"### GPU quotas at {MARCH}")
    count = len(world.run("plan", "--json", "--provider", "kt-cloud").data["changes"])
    assert sum(line.startswith("| create | kt-cloud | HPC-2026-1-") for line in lines) == count > 0


def test_without_yes_and_terminal_nothing_is_applied(world: World, api: Api) -> None:
    ran = world.run("up")
    assert (ran.code, ran.out) == (2, "")
    assert "120 to create" in ran.err
    assert "pass --yes: there is no terminal to ask at" in ran.err


def test_the_end_of_terms_is_for_expire(world: World, full: Api) -> None:
    before = world.run("expire", "--json")
    assert (before.code, before.data["failed"]) == (0, {})
    after = world.run("expire", at=JULY)
    assert (after.code, "120 to reclaim" in after.err) == (2, True)
    plan = world.run("plan", "--json", at=JULY).data
    assert {(change["op"], change["expected"]) for change in plan["changes"]} == {("reclaim", True)}
    assert plan["refused"] == []


# ---- the guard


def test_rows_lost_from_the_list_are_refused(world: World, full: Api) -> None:
    path = world.root / "examples" / "awards-2026-h1.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(lines[:20]) + "\n", encoding="utf-8-sig")
    plan = world.run("plan", "--json", "--exit-code")
    assert plan.code == 4
    assert len(plan.data["refused"]) == 3
    assert "\nrefused, nothing was changed:\n  - " in plan.err
    count = len(plan.data["changes"])
    assert all(f"--allow-teardown {count}" in reason for reason in plan.data["refused"])
    ran = world.run("up", "--yes", "--json")
    assert (ran.code, ran.data["error"], ran.data["reasons"]) == (4, "PlanRefused", plan.data["refused"])
    confirmed = world.run("up", "--allow-teardown", str(count))  # the next hurdle is the question
    assert (confirmed.code, "pass --yes" in confirmed.err) == (2, True)


def test_another_cluster_is_refused_until_confirmed(world: World, api: Api) -> None:
    for provider in PROVIDERS:
        world.outputs(provider, {"clusterUid": "uid-of-kt-cloud", "tenants": {}})
    ran = world.run("up", "--yes", "--json", "--provider", "kt-cloud", "--provider", "samsung-sds")
    assert ran.code == 4
    (reason,) = ran.data["reasons"]
    assert reason.startswith("samsung-sds: context 'samsung-sds' leads to the cluster uid-of-samsung-sds, but this")
    assert "--accept-cluster samsung-sds" in reason
    accepted = world.run("up", "--provider", "samsung-sds", "--accept-cluster", "samsung-sds")
    assert (accepted.code, "pass --yes" in accepted.err) == (2, True)


def test_lists_that_exceed_a_capacity_are_refused_before_any_cluster_is_read(closed: World) -> None:
    text = (closed.root / "Pulumi.yaml").read_text(encoding="utf-8")
    both = "      - examples/awards-2026-h1.csv\n"
    path = closed.root / "Pulumi.yaml"
    path.write_text(text.replace(both, both + "      - examples/awards-2026-extra-cp949.csv\n"), encoding="utf-8")
    for command in ("plan", "up"):
        ran = closed.run(command, "--json", *(["--yes"] if command == "up" else []))
        assert (ran.code, ran.data["error"], len(ran.data["reasons"])) == (4, "PlanRefused", 2)
        assert "34 too many" in ran.data["reasons"][0]
        assert "does not answer" not in ran.err
    lines = closed.run("plan", "--markdown").out.splitlines()
    assert lines[0] == "### GPU quotas: refused, nothing would be changed"
    assert ["34 too many" in line for line in lines if line.startswith("- ")] == [True, False]


def test_markdown_tells_what_is_wrong_with_the_lists(closed: World) -> None:
    closed.edit_list("HPC-2026-1-002,", "HPC-2026-1-001,")
    ran = closed.run("plan", "--markdown")
    assert ran.code == 1
    assert "1 problem in the files" in ran.out.splitlines()[0]
    assert "HPC-2026-1-001" in ran.out.splitlines()[4]
    assert ran.out.splitlines()[4].startswith(f"| {closed.root}/examples/awards-2026-h1.csv | 3 | ")


def test_terms_beyond_the_programmes_end_are_refused_until_the_end_is_moved(world: World, api: Api) -> None:
    path = world.root / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    assert '"2026-07-01T00:00+09:00"' in text
    path.write_text(text.replace("2026-07-01T00:00", "2026-06-30T00:00"), encoding="utf-8")
    planned = world.run("plan", "--json", "--provider", "kt-cloud")
    assert (planned.code, len(planned.data["refused"])) == (4, 6)
    assert planned.data["refused"][0].startswith("kt-cloud: Namespace gpu-hpc-2026-1-002: its term ends at 2026-07-01")
    applied = world.run("up", "--yes", "--json", "--provider", "kt-cloud")
    assert (applied.code, applied.data["reasons"]) == (4, planned.data["refused"])
    assert "refused, nothing was changed" in applied.err
    path.write_text(text, encoding="utf-8")
    assert world.run("plan", "--json", "--provider", "kt-cloud").data["refused"] == []


# ---- status


def test_status_adds_up_the_quotas(world: World, full: Api) -> None:
    ran = world.run("status", "--json")
    pools = {f"{pool['provider']} {pool['model']}": pool for pool in ran.data["pools"]}
    assert (ran.code, ran.data["failed"]) == (0, {})
    samsung, kt = pools["samsung-sds H100"], pools["kt-cloud H200"]
    assert (samsung["allocated"], samsung["free"], samsung["h100"]["free"]) == (200, 0, 0)
    assert (kt["capacity"], kt["allocated"], kt["free"], kt["used"], kt["over"]) == (400, 223, 177, 0, 0)
    assert pools["elice-cloud A100"]["h100"] == {"capacity": 20, "allocated": 0, "free": 20}
    path = world.root / "stacks" / "Pulumi.kt-cloud.yaml"
    steps = f"capacity: [{{gpus: 400}}, {{gpus: 392, from: '{MARCH}'}}]"
    path.write_text(path.read_text(encoding="utf-8").replace("capacity: 400", steps), encoding="utf-8")
    at = {
        at: world.run("status", "--provider", "kt-cloud", "--json", at=at).data["pools"] for at in (MARCH, "2026-02-28")
    }
    assert [(pool["capacity"], pool["free"]) for (pool,) in at.values()] == [(392, 169), (400, 177)]
    table = world.run("status", "--provider", "kt-cloud")
    assert (table.code, len(table.out.splitlines())) == (0, 2)
    assert table.out.splitlines()[1].split()[:2] == ["kt-cloud", "H200"]


def stuck_pod(namespace: str, gpus: int) -> dict[str, Any]:
    """A pod on a node that died: it was told to end, does not, and no quota charges it any more."""
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    return {
        "metadata": {"namespace": namespace, "name": "stuck", "deletionTimestamp": "2026-03-01T00:00:00Z"},
        "spec": {"nodeName": "h200-01", "containers": [container]},
        "status": {"phase": "Running"},
    }


def test_status_counts_pods_that_no_quota_charges(world: World, full: Api) -> None:
    """The first award's pod holds more than the quota grants; the second's quota is 0, and nothing says what it had."""
    quotas = {quota["metadata"]["namespace"]: quota for quota in full.objects["kt-cloud", "ResourceQuota"]}
    first, second, *_ = quotas
    granted = {name: int(quotas[name]["spec"]["hard"]["requests.nvidia.com/gpu"]) for name in (first, second)}
    quotas[second]["spec"]["hard"]["requests.nvidia.com/gpu"] = "0"
    (namespace,) = [
        manifest for manifest in full.objects["kt-cloud", "Namespace"] if manifest["metadata"]["name"] == second
    ]
    del namespace["metadata"]["annotations"]["gpuprov.dev/gpus"]
    full.objects["kt-cloud", "Pod"] = [
        stuck_pod(first, granted[first] + 3),
        stuck_pod(second, 5),
        stuck_pod("kube-system", 7),
    ]
    (pool,) = world.run("status", "--provider", "kt-cloud", "--json").data["pools"]
    assert (pool["allocated"], pool["used"], pool["over"]) == (223 - granted[second], 0, 3 + 5)
    assert pool["free"] == 400 - 223 + granted[second] - 3 - 5


def test_status_says_nothing_of_a_cluster_whose_pods_may_not_be_read(world: World, full: Api) -> None:
    full.refused.add(("kt-cloud", "Pod"))
    ran = world.run("status", "--json")
    assert ran.code != 0
    assert {pool["provider"] for pool in ran.data["pools"]} == {"elice-cloud", "samsung-sds"}
    assert "may not GET /api/v1/pods" in ran.data["failed"]["kt-cloud"]
