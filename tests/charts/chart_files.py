"""What the tests of the chart share: where it is, its values and their schema, and Helm."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
import yaml
from golden_chart import read_all

from gpuprov import toolchain
from gpuprov.cli import main
from gpuprov.toolchain.pins import KUBERNETES_VERSION

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "gpu-cluster"
GOLDEN = Path(__file__).parent / "golden"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


@cache
def helm_program() -> str:
    """Find Helm through the toolchain."""
    return str(toolchain.ensure(("helm",)).binary("helm"))


def helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm with ``values`` over the chart's own."""
    command = [helm_program(), *arguments]
    if values is not None:
        command += ["--values", "-"]
    return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)


def render(values: dict[str, Any] | None = None) -> str:
    """Return the chart's objects as text, as `helm template` prints them."""
    return rendered(CHART, "gpuprov", "gpuprov-system", json.dumps(values or {}))


@cache
def rendered(chart: Path, release: str, namespace: str, values: str) -> str:
    """Run `helm template` for a chart, once for the same values in JSON."""
    ran = helm(
        *("template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES_VERSION),
        values=json.loads(values),
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def objects(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the chart's objects; they are the caller's to change."""
    return read_all(render(values))


def read_command(words: Sequence[str]) -> dict[str, Any]:
    """Return the options of a command line, as gpuprov itself reads it."""
    name, *arguments = words
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command.make_context(name, arguments).params


def options(schema: dict[str, Any] = SCHEMA, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every value that can be set, with its schema: ``admission.actions``."""
    for name, option in schema["properties"].items():
        if "properties" in option:
            yield from options(option, f"{path}{name}.")
        else:
            yield f"{path}{name}", option


def default(path: str, values: dict[str, Any] = VALUES) -> Any:
    """Return the default of a value."""
    found = values
    for name in path.split("."):
        found = found[name]
    return found


def setting(path: str, value: Any) -> dict[str, Any]:
    """Return the values that set one: ``{"admission": {"actions": ["Audit"]}}``."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


# ---- the table of values in a document

_HEAD = "| value | type | default | meaning |\n| --- | --- | --- | --- |\n"


def type_of(option: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in words what a value is."""
    if "$ref" in option:
        return type_of(schema["definitions"][option["$ref"].rpartition("/")[2]], schema)
    if "enum" in option:
        return " or ".join(f"`{each}`" for each in option["enum"])
    if option["type"] == "array":
        items = option["items"]
        if "enum" in items:
            return "list of " + ", ".join(f"`{each}`" for each in items["enum"])
        return "list of objects" if type_of(items, schema) == "object" else "list of text"
    if option["type"] == "integer":
        return f"whole number, {option['minimum']} to {option['maximum']}"
    return {"boolean": "`true` or `false`", "string": "text", "object": "object"}[option["type"]]


def shown(value: Any) -> str:
    """Write a default as YAML would have it in one line."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ("", [], {}):
        return "none" if value == "" else f"`{value}`"
    if isinstance(value, list):
        return ", ".join(shown(element) for element in value)
    if isinstance(value, dict):
        return ", ".join(f"`{name}`: {shown(setting)}" for name, setting in value.items())
    return f"`{value}`"


def with_table(document: Path, rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Return the document with this table of values: name, type, default and meaning. Writes it where that is meant."""
    before, head, rest = document.read_text(encoding="utf-8").partition(_HEAD)
    assert head, f"{document.name} has no table of values"
    after = re.sub(r"^(\|.*\n)+", "", rest)
    lines = [f"| `{name}` | {kind} | {value} | {meaning} |\n" for name, kind, value, meaning in rows]
    text = "".join([before, head, *lines, after])
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        document.write_text(text, encoding="utf-8")
    return text
