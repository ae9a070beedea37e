"""The examples in the documents have the keys of what the code writes and reads."""

import dataclasses
import json
import re
from typing import Any

import yaml
from documents import CLI, CONFIGURATION, DOCS, MARKDOWN, blocks, section_of, sections

from gpuprov import errors
from gpuprov.cli.recovering import _json
from gpuprov.core.award import Award
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.diagnosis import Finding as Disagreement
from gpuprov.core.diagnosis import Item, Kind
from gpuprov.core.ledger import EVENT, Accepted, Extended, Forfeited, Reduced
from gpuprov.core.lifecycle import Edge
from gpuprov.core.overview import COLUMNS
from gpuprov.core.plan import Change, Plan
from gpuprov.core.pods import PodUse
from gpuprov.core.stackstate import Behind, Why
from gpuprov.core.steps import Terms
from gpuprov.load.programme import default_programme
from gpuprov.preflight import Finding, admission, clock, identity, names, nodes, plugin, policies, rights, role, version
from gpuprov.run.job import Freed, Outcome
from gpuprov.run.newproject import paths_of
from gpuprov.run.status import PoolStatus
from gpuprov.sandbox import ClusterStatus


def first_json(section: str) -> Any:
    return json.loads(blocks(sections(CLI, 2)[section], "json")[0])


def fields(model: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(model)}


def test_every_example_in_json_is_json() -> None:
    for path in MARKDOWN:
        for block in blocks(path.read_text(encoding="utf-8"), "json"):
            json.loads(block)


def test_the_example_of_init_has_every_file_and_what_validate_says() -> None:
    example = first_json("init")
    assert example.keys() == {"folder", "name", "files", "validate"}
    assert example["files"] == sorted(paths_of(default_programme(), ("kt-cloud",)))
    assert example["validate"].keys() == first_json("validate").keys()


def test_the_example_of_plan_has_the_plans_keys() -> None:
    example = first_json("plan")
    assert example.keys() == fields(Plan) | {"restored", "failed", "refused", "warnings"}
    assert [change.keys() for change in example["changes"]] == [fields(Change) | {"expected"}]


def test_the_example_of_up_has_the_outcomes_keys() -> None:
    example = first_json("up")
    (outcome,) = example["providers"]
    assert example.keys() == {"providers", "failed"}
    assert outcome.keys() == Outcome.model_fields.keys() - {"stale"}
    assert [freed.keys() for freed in outcome["freed"]] == [Freed.model_fields.keys()]


def test_the_example_of_preflight_is_a_finding() -> None:
    example = first_json("preflight")
    assert example.keys() == {"findings", "failed"}
    (finding,) = example["findings"]
    assert finding.keys() == fields(Finding) | {"provider"}
    assert finding["check"] in rows_of_checks()


def test_every_check_of_preflight_is_told() -> None:
    checks = {
        module.CHECK for module in (admission, clock, identity, names, nodes, plugin, policies, rights, role, version)
    }
    assert rows_of_checks() == checks | {nodes.CAPACITY}


def rows_of_checks() -> set[str]:
    return set(re.findall(r"^\| `([a-z ]+)` \|", section_of("gpuprov preflight"), flags=re.MULTILINE))


def test_the_example_of_doctor_is_a_finding() -> None:
    example = first_json("doctor")
    assert example.keys() == {"findings", "failed"}
    (finding,) = example["findings"]
    (item,) = finding["items"]
    kind = Kind(finding["code"])
    made = Disagreement(
        kind=kind,
        provider=finding["provider"],
        sentence=finding["message"],
        command=finding["command"],
        items=(Item(**item),),
    )
    assert made.to_json() == finding


def test_every_finding_of_doctor_is_told() -> None:
    text = sections((DOCS / "recovery.md").read_text(encoding="utf-8"), 2)["What doctor says"]
    rows = re.findall(r"^\| (`[^|]*) \|", text, flags=re.MULTILINE)
    assert re.findall(r"`([a-z-]+)`", " ".join(rows)) == [str(kind) for kind in Kind]


def test_the_example_of_recover_is_what_it_prints_of_a_stack() -> None:
    example = first_json("recover")
    assert example.keys() == {"recovered", "failed"}
    ((example_stack,),) = example["recovered"].values()
    stack = Behind(
        stack="kt-cloud", why=Why.OLD, unknown=tuple(example_stack["added"]), gone=tuple(example_stack["removed"])
    )
    assert _json(stack, {}) == example_stack
    told = section_of("gpuprov recover")
    assert [why for why in Why if f"`{why}`" not in told and f'"{why}"' not in told] == []


def test_the_example_of_status_is_what_a_pool_says() -> None:
    (pool,) = first_json("status")["pools"]
    values = {name: pool[name] for name in fields(PoolStatus)}
    status = PoolStatus(**values)
    assert json.loads(json.dumps(status.to_json(default_programme()))) == pool


def test_the_example_of_awards_has_every_column() -> None:
    example = first_json("awards")
    (row,) = example["awards"]
    assert example.keys() == {"at", "awards", "failed"}
    assert list(row) == list(COLUMNS)


def test_the_example_of_show_has_the_keys_of_its_parts() -> None:
    example = first_json("show")
    (home,) = example["clusters"]
    assert example["award"].keys() - {"…"} <= COLUMNS.keys()
    assert example["list"].keys() - {"…", "file", "row"} <= Award.model_fields.keys()
    assert [pod.keys() for pod in home["pods"]] == [fields(PodUse)]
    assert [edge.keys() for edge in example["next"]] == [fields(Edge)]


def test_the_example_of_the_sandbox_has_its_keys() -> None:
    (cluster,) = first_json("sandbox")["clusters"]
    assert cluster.keys() == fields(ClusterStatus)


def test_the_example_of_a_problem_has_its_fields() -> None:
    example = first_json("Output")
    (problem,) = example["problems"]
    assert problem.keys() == fields(errors.Problem) - {"argument"}
    assert example["message"] == str(errors.InputError([errors.Problem(**problem)]))


def test_the_ledgers_lines_are_events_of_every_kind() -> None:
    (block,) = blocks(CLI, "jsonl")
    events = [EVENT.validate_json(line) for line in block.splitlines()]
    assert [type(event) for event in events] == [Accepted, Forfeited, Reduced, Extended]
    assert [EVENT.dump_json(event).decode() for event in events] == block.splitlines()
    told = sections(CLI, 2)["The ledger"]
    names = {name for event in events for name in type(event).model_fields}
    assert [name for name in names if f"`{name}`" not in told] == []


def test_the_example_of_a_stack_is_a_cluster() -> None:
    texts = [yaml.safe_load(text) for text in blocks(CONFIGURATION, "yaml")]
    (value,) = [text["config"]["gpuprov:cluster"] for text in texts if "gpuprov:cluster" in text.get("config", {})]
    (history,) = [text["capacity"] for text in texts if "capacity" in text]
    made = ProviderCluster.model_validate({"provider": "kt-cloud", **value})
    assert made.pools[0].capacity == 400
    programme = default_programme()
    terms = Terms(zone=programme.zone, resources=programme.resources)
    stepwise = GpuPool.model_validate(made.pools[0].model_dump() | {"capacity": history}, context=terms)
    assert [step.gpus for step in stepwise.steps] == [400, 392, 480]
