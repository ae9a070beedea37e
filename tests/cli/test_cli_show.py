"""`gpuprov show` on API servers that answer from a table, and both transcripts in docs/cli.md."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from cli_world import JULY, Api, World
from rich.cells import cell_len
from test_cli_awards import MEDICAL, pod, write

from gpuprov.cli.blocks import WIDTH, Block, Line, text_of

CLI = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
HOME = "gpu-hpc-2026-1-003"
WAITING = pod(HOME, 2, node="", phase="Pending")


def blocks_of(text: str) -> dict[str, dict[str, str]]:
    """Read what is shown: the lines of each block by their names, the first of a name."""
    found: dict[str, dict[str, str]] = {}
    for block in text.strip().split("\n\n"):
        title, *lines = re.sub(r"\n {6,}", " ", block).splitlines()
        found[title] = {}
        for line in lines:
            name, _, value = line.strip().partition(": ")
            found[title].setdefault(name, value)
    return found


def quota_of(api: Api, provider: str, namespace: str) -> dict[str, Any]:
    (quota,) = [
        quota
        for quota in api.objects[provider, "ResourceQuota"]
        if (quota["metadata"]["namespace"], quota["metadata"]["name"]) == (namespace, "gpu")
    ]
    return quota


def with_pods(api: Api) -> None:
    """Let the award of the transcripts have a pod on a node and one that waits for a node."""
    waiting = WAITING | {"metadata": {"namespace": HOME, "name": "train-1"}}
    api.objects["samsung-sds", "Pod"] = [waiting, pod(HOME, 4), pod("kube-system", 8)]
    quota = quota_of(api, "samsung-sds", HOME)
    quota["status"] = {"hard": quota["spec"]["hard"], "used": {"requests.nvidia.com/gpu": "6"}}


@pytest.mark.parametrize("name", ["awards", "show"])
def test_the_transcripts_are_what_is_printed(world: World, full: Api, name: str) -> None:
    """With the ledger that the same document has."""
    with_pods(full)
    (ledger,) = re.findall(r"^```jsonl\n(.*?)^```$", CLI, flags=re.MULTILINE | re.DOTALL)
    world.ledger.write_text(ledger, encoding="utf-8")
    ((typed, told),) = re.findall(rf"^\$ gpuprov ({name} [^\n]*)\n(.*?)^```$", CLI, flags=re.MULTILINE | re.DOTALL)
    ran = world.run_as_typed(*shlex.split(typed))
    assert ran.code == 0
    assert [line.rstrip() for line in ran.out.splitlines()] == told.splitlines()


def test_all_of_it_as_json(world: World, full: Api) -> None:
    with_pods(full)
    write(world, "accepted", MEDICAL, "2026-01-05T00:00:00+09:00")
    write(world, "accepted", "HPC-2026-1-004")
    data = world.run("show", MEDICAL, "--json").data
    assert (data["award"]["award"], data["award"]["in_use"], data["award"]["accepted"]) == (MEDICAL, 6, True)
    assert (data["list"]["row"], data["list"]["organization"], data["list"]["quantity"]) == (4, "가온의료재단", 8)
    assert data["list"]["file"].endswith("examples/awards-2026-h1.csv")
    assert [(line["row"], line["event"], line["by"]) for line in data["ledger"]] == [(1, "accepted", "kim")]
    (home,) = data["clusters"]
    pods = home.pop("pods")
    assert home == {
        "provider": "samsung-sds",
        "namespace": HOME,
        "terminating": False,
        "hard": 8,
        "used": 6,
        "occupied": 6,
        "term_end": JULY,
        "objects": [
            "ConfigMap welcome",
            "LimitRange defaults",
            "NetworkPolicy isolation",
            "ResourceQuota fixed",
            "ResourceQuota gpu",
            "RoleBinding awardee",
        ],
    }
    assert [(pod["name"], pod["gpus"], pod["node"], pod["holds"]) for pod in pods] == [
        ("train-0", 4, "h100-01", True),
        ("train-1", 2, "", False),
    ]
    assert (data["changes"], data["refused"], data["failed"]) == ([], [], {})
    assert data["next"] == [{"at": JULY, "what": "the term ends"}]


def test_what_a_plan_would_do_is_told_with_its_reasons(world: World, full: Api) -> None:
    quota_of(full, "samsung-sds", HOME)["spec"]["hard"]["requests.nvidia.com/gpu"] = "16"
    write(world, "forfeited", "HPC-2026-1-002")
    (change,) = world.run("show", MEDICAL, "--json").data["changes"]
    (planned,) = [change for change in world.run("plan", "--json").data["changes"] if change["award_id"] == MEDICAL]
    assert change == planned
    shown = blocks_of(world.run("show", "HPC-2026-1-002").out)
    assert shown["HPC-2026-1-002"]["state"] == "forfeited, not accepted"
    assert shown["next"] == {
        "now": "reclaim at kt-cloud, 1 → 0 H200",
        "why": "forfeited at 2026-03-01T09:00+09:00 by kim: as agreed",
    }


def test_a_namespace_that_lost_its_labels_is_found_by_its_name(world: World, full: Api) -> None:
    """Servers would not list it; they give it to whoever asks by name."""
    moved = "gpu-hpc-2026-1-002"
    full.objects["samsung-sds", "Namespace"].append({"metadata": {"name": moved}})
    data = world.run("show", "HPC-2026-1-002", "--json").data
    assert [home["provider"] for home in data["clusters"]] == ["kt-cloud", "samsung-sds"]
    assert [(change["op"], change["provider"]) for change in data["changes"]] == [("reclaim", "samsung-sds")]


def test_an_award_that_only_a_cluster_has(world: World, full: Api) -> None:
    text = (world.root / "examples" / "awards-2026-h1.csv").read_text(encoding="utf-8-sig")
    (line,) = [line for line in text.splitlines() if line.startswith(MEDICAL)]
    world.edit_list(f"{line}\n", "")
    shown = blocks_of(world.run("show", MEDICAL).out)
    assert (shown[MEDICAL]["state"], shown["list"]) == ("orphan, not accepted", {"row": "no award list has it"})
    assert shown["next"]["now"] == "reclaim at samsung-sds, 8 → 0 H100, an unexplained teardown"


def test_before_anything_is_there(world: World, api: Api) -> None:
    shown = blocks_of(world.run("show", MEDICAL, at="2025-12-31T00:00:00+09:00").out)
    assert (shown[MEDICAL]["state"], shown["clusters"]) == (
        "upcoming, not accepted",
        {"namespace": "no cluster has it"},
    )
    assert shown["next"] == {
        "now": "nothing to change",
        "2026-01-01T00:00+09:00": "the term starts with 8 H100",
        "2026-07-01T00:00+09:00": "the term ends",
    }


def test_clusters_that_do_not_answer(world: World, full: Api) -> None:
    full.forbidden.add("samsung-sds")
    ran = world.run("show", MEDICAL)
    shown = blocks_of(ran.out)
    assert (ran.code, ran.told[-1].startswith("not read: samsung-sds: ")) == (5, True)
    assert shown[MEDICAL]["GPUs"] == "8 H100 at samsung-sds, in use is not known"
    assert shown["clusters"] == {"namespace": "no cluster that was read has it"}
    assert shown["next"]["now"] == "nothing to change on the clusters that were read"


def test_an_unknown_award_gets_similar_ones_and_what_was_not_read(world: World, full: Api) -> None:
    full.forbidden.add("kt-cloud")
    ran = world.run("show", "hpc-2026-1-0003", "--json")
    (problem,) = ran.data["problems"]
    assert (ran.code, problem["value"]) == (1, "hpc-2026-1-0003")
    assert problem["message"].endswith("on no cluster that was read (not read: kt-cloud)")
    assert f"did you mean {MEDICAL}" in problem["remedy"]


# ---- blocks


def test_lines_break_between_words_and_nowhere_else() -> None:
    name = "gpu-" + "x" * 70
    text = text_of(
        [
            Block(title="a", lines=[Line(name="why", value="가나다 " * 30 + name)]),
            Block(title="b", lines=[Line(name="x", value=1, below=[Line(name="y", value="z " * 60)])]),
        ]
    )
    assert name in text
    assert all(cell_len(line) <= WIDTH for line in text.splitlines() if name not in line)
    assert "\n\nb\n  x: 1\n    y: z z" in text


def test_what_comes_from_outside_moves_no_cursor() -> None:
    assert (
        text_of([Block(title="a\x1b[2J", lines=[Line(name="b", value="c\nd\x1b[31m")])])
        == "a\\x1b[2J\n  b: c d\\x1b[31m"
    )
