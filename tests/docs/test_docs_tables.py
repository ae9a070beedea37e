"""The tables in the documents: the configuration's keys and defaults, the policies, and the figures on record."""

import json
import re

import pytest
from documents import CONFIGURATION, DOCS, blocks, sections
from pydantic import BaseModel

from bench.report import Results, markdown
from gpuprov.core.accelerator import Accelerator
from gpuprov.core.cluster import ContainerDefaults, GpuPool, PerGpu, ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.core.rules import Rule
from gpuprov.core.steps import CapacityStep
from gpuprov.core.tracks import Call, StatusWords, Track
from gpuprov.load.programme import schema_text


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table under a heading by the code in their first cell."""
    section = sections(CONFIGURATION, 3)[heading].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:3] == "| `"
    ]
    return {row[0].strip(" `"): row[1:] for row in cells}


MODELS = {
    "`gpuprov:cluster`": ProviderCluster,
    "`pools`": GpuPool,
    "`capacity`": CapacityStep,
    "`perGpu`": PerGpu,
    "`containerDefaults`": ContainerDefaults,
}


@pytest.mark.parametrize(("heading", "model"), MODELS.items())
def test_configuration_has_exactly_the_fields_of_the_models(heading: str, model: type[BaseModel]) -> None:
    assert rows(heading).keys() == {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(("heading", "model"), MODELS.items())
def test_configuration_tells_required_keys_and_plain_defaults(heading: str, model: type[BaseModel]) -> None:
    told = rows(heading)
    for name, field in model.model_fields.items():
        default = told[field.alias or name][1]
        if name == "provider":  # is required of the model and taken from the file's name
            assert default == "the file's name"
        elif name == "resource":  # is required of the model and taken from the programme
            assert default == "the accelerator's"
        elif field.is_required():
            assert default == "required", name
        elif isinstance(field.default, bool):
            assert default == f"`{str(field.default).lower()}`", name
        elif isinstance(field.default, (int, str)):
            assert default == f"`{field.default}`", name
        elif field.default is None:
            assert default == "none", name
        elif name == "device_classes":
            assert re.findall(r"`([^`]+)`", default) == list(field.default)
        else:
            assert default != "required", name


def test_the_policies_are_exactly_the_rules() -> None:
    text = (DOCS / "policies.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE) == [str(rule) for rule in Rule]
    (levels,) = blocks(text, "json")
    assert json.loads(levels).keys() <= set(Rule)


def test_performance_has_the_tables_of_the_figures_on_record() -> None:
    results = Results.open(DOCS / "performance.json", resume=True)
    assert markdown(results) in (DOCS / "performance.md").read_text(encoding="utf-8")


PROGRAMME_MODELS = {
    "The file": Programme,
    "Accelerators": Accelerator,
    "Tracks": Track,
    "Calls": Call,
    "Statuses": StatusWords,
}


@pytest.mark.parametrize(("heading", "model"), PROGRAMME_MODELS.items())
def test_programme_has_exactly_the_keys_of_the_models_with_their_defaults(heading: str, model: type[BaseModel]) -> None:
    section = sections((DOCS / "programme.md").read_text(encoding="utf-8"), 2)[heading]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:3] == "| `"
    ]
    told = {row[0].strip(" `"): row[2] for row in cells}
    assert told.keys() == {field.alias or name for name, field in model.model_fields.items()}
    for name, field in model.model_fields.items():
        default = told[field.alias or name]
        assert (default == "required") is field.is_required(), name
        if field.default == () or isinstance(field.default, int):
            assert default == ("[]" if field.default == () else str(field.default)).join("``"), name


def test_the_schema_of_programmes_in_docs_is_the_current_one() -> None:
    # To update: python -m gpuprov.load programme > docs/programme.schema.json
    assert (DOCS / "programme.schema.json").read_text(encoding="utf-8") == schema_text()
