"""`gpuprov doctor` against API servers that answer from a table: text, JSON, exit codes; nothing is written."""

import json
import subprocess

import pytest
from cli_project import files
from cli_world import JULY, PROVIDERS, Api, World

SDS = "samsung-sds"
SILENT = "2026-03-01T08:00:00.000000Z"


def codes(world: World, *options: str, at: str = "2026-03-01T09:00:00+09:00") -> dict[tuple[str, str], dict]:
    """Return the findings by provider and code."""
    ran = world.run("doctor", "--json", *options, at=at)
    assert ran.code in (0, 1), ran
    assert (ran.code == 1) == bool(ran.data["findings"])
    return {(found["provider"], found["code"]): found for found in ran.data["findings"]}


def test_where_everything_agrees_it_says_so_and_writes_nothing(world: World, full: Api) -> None:
    before = files(world.root)
    ran = world.run("doctor")
    assert (ran.code, ran.out) == (0, "nothing disagrees\n"), ran
    assert codes(world) == {}
    assert (files(world.root), full.writes) == (before, [])


def test_a_finding_says_what_disagrees_in_which_award_and_what_to_paste(world: World, full: Api) -> None:
    world.edit_list("HPC-2026-1-003", "HPC-2026-1-999")
    ran = world.run("doctor", "--provider", SDS)
    assert ran.code == 1
    assert "samsung-sds: missing (list ≠ cluster)\n  1 award is not on the cluster\n    HPC-2026-1-999: " in ran.out
    assert "\n  mend it with: gpuprov up --provider samsung-sds\n" in ran.out
    assert ran.out.endswith("\n2 findings\n")


def test_many_awards_are_few_lines_and_all_in_the_json(world: World, full: Api) -> None:
    ran = world.run("doctor", "--provider", "kt-cloud", at=JULY)
    (found,) = codes(world, "--provider", "kt-cloud", at=JULY).values()
    assert (found["code"], found["command"]) == ("ended", "gpuprov expire --provider kt-cloud")
    assert len(found["items"]) > 10
    assert len(ran.out.splitlines()) < 12
    assert f"    and {len(found['items']) - 5} more (--json has all)" in ran.out


def test_a_command_is_never_broken_at_the_edge_of_a_terminal(world: World, full: Api) -> None:
    world.edit_list("HPC-2026-1-003", "HPC-2026-1-999")
    world.environment["COLUMNS"] = "30"
    lines = world.run("doctor").out.splitlines()
    assert "  mend it with: gpuprov up --provider samsung-sds" in lines


def test_in_korean_the_command_stays_as_it_is_typed(world: World, full: Api) -> None:
    world.edit_list("HPC-2026-1-003", "HPC-2026-1-999")
    ran = world.run("doctor", "--lang", "ko")
    assert "과제" in ran.out
    assert ": gpuprov up --provider samsung-sds\n" in ran.out


def test_one_that_does_not_answer_is_told_and_the_others_are_diagnosed(world: World, full: Api) -> None:
    full.forbidden.add("kt-cloud")
    world.edit_list("HPC-2026-1-003", "HPC-2026-1-999")
    ran = world.run("doctor", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert {found["provider"] for found in ran.data["findings"]} == {SDS}
    assert "not read: kt-cloud: " in ran.err


def test_a_state_that_cannot_be_read_is_told_and_its_cluster_is_diagnosed(world: World, full: Api) -> None:
    (world.root.parent / f"state-{SDS}.json").unlink()
    script = world.root.parent / "bin" / "pulumi"
    script.write_text(script.read_text().replace("no stack named", "no network to"))
    ran = world.run("doctor", "--json", "--provider", SDS, at=JULY)
    assert (ran.code, "no network to" in ran.data["failed"][SDS]) == (5, True)
    assert [found["code"] for found in ran.data["findings"]] == ["ended"]


def test_invalid_lists_are_a_finding_and_clusters_are_compared_with_the_state(world: World, full: Api) -> None:
    (world.root / "examples" / "awards-2026-h1.csv").write_text("nonsense\n1\n")
    world.state(SDS, {"clusterUid": f"uid-of-{SDS}", "context": SDS}, [])
    found = codes(world)
    assert found.keys() == {(None, "files-invalid"), (SDS, "state-old")}
    assert found[None, "files-invalid"]["command"] == "gpuprov validate"
    assert found[SDS, "state-old"]["command"] == "gpuprov recover --provider samsung-sds"


@pytest.mark.parametrize(
    ("said", "code"),
    [("no stack named 'x' found", "state-lost"), ("failed to load checkpoint: unexpected EOF", "state-damaged")],
)
def test_a_lost_and_a_damaged_state(world: World, full: Api, said: str, code: str) -> None:
    (world.root.parent / f"state-{SDS}.json").unlink()
    script = world.root.parent / "bin" / "pulumi"
    script.write_text(script.read_text().replace("no stack named '$stack' found", said))
    found = codes(world, "--provider", SDS)
    assert found[SDS, code]["command"] == "gpuprov recover --provider samsung-sds"


def test_locks_are_told_while_nobody_is_at_work(world: World, full: Api) -> None:
    world.pulumi_lock(SDS, "lee@night-shift (pid 4711) at 2026-03-01T09:00:00+09:00")
    (found,) = codes(world).values()
    assert (found["code"], found["command"]) == ("locked", "gpuprov unlock --provider samsung-sds")
    assert "lee@night-shift" in found["items"][0]["detail"]


def test_a_lock_of_somebody_at_work_is_none(world: World, full: Api) -> None:
    world.pulumi_lock(SDS, "lee@night-shift (pid 4711) at 2026-03-01T09:00:00+09:00")
    full.lease(SDS, "lee@night-shift/0", words="lee@night-shift (gpuprov up)")
    ran = world.run("doctor")
    assert ran.code == 0
    assert "samsung-sds: lee@night-shift (gpuprov up) is at work there since " in ran.err


def test_a_turn_that_nobody_renews_is_told(world: World, full: Api) -> None:
    full.lease(SDS, "lee@night-shift/0", words="lee@night-shift (gpuprov up)", renewed=SILENT)
    (found,) = codes(world).values()
    assert (found["code"], found["command"]) == ("lease-held", "gpuprov unlock --provider samsung-sds")


def test_a_cluster_without_the_chart_and_one_behind_another_context(world: World, full: Api) -> None:
    full.bare.add(SDS)
    world.outputs("kt-cloud", {"clusterUid": "uid-of-another", "context": "kt-cloud", "tenants": {}})
    found = codes(world)
    assert found.keys() == {(SDS, "chart"), ("kt-cloud", "wrong-cluster")}
    assert found[SDS, "chart"]["command"] == "gpuprov setup --provider samsung-sds"


def git(world: World, *words: str) -> None:
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org"]
    subprocess.run(["git", *identity, *words], cwd=world.root, check=True, capture_output=True)


def test_lines_of_the_ledger_that_are_not_committed(world: World, full: Api) -> None:
    world.ledger.write_text("")
    git(world, "init", "-q")
    assert codes(world) == {}  # nothing is in it yet
    event = {"award": "HPC-2026-1-003", "at": "2026-02-01T00:00:00+09:00", "by": "kim", "reason": "signed"}
    world.ledger.write_text(json.dumps(event | {"recorded": "2026-02-01T00:00:00+09:00", "event": "accepted"}) + "\n")
    (found,) = codes(world).values()
    commit = "git commit -m 'ledger: events' -- examples/ledger.jsonl"
    assert (found["code"], found["command"]) == ("ledger-uncommitted", f"git add -- examples/ledger.jsonl && {commit}")
    git(world, "add", "examples/ledger.jsonl")
    git(world, "commit", "-qm", "Begin")
    assert codes(world) == {}
    world.ledger.write_text(world.ledger.read_text() + "\n")
    assert codes(world)[None, "ledger-uncommitted"]["command"] == commit


def test_an_unknown_provider_and_a_project_without_pulumi(world: World) -> None:
    assert "is not a provider of this project" in world.run("doctor", "--provider", "nobody").err
    for tool in (world.root.parent / "bin").iterdir():
        tool.unlink()
    ran = world.run("doctor", "--json")
    assert (ran.code, ran.data["error"]) == (1, "ToolchainError")


def test_with_all_clusters_away_each_is_told(closed: World) -> None:
    ran = closed.run("doctor", "--json")
    assert (ran.code, ran.data["failed"].keys(), ran.data["findings"]) == (5, set(PROVIDERS), [])
