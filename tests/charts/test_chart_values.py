"""The schema is the reference of the values: it has them all, tells of each, and refuses what is wrong."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from chart_files import CHART, REPOSITORY, SCHEMA, VALUES, default, helm, options, setting, shown, type_of, with_table

DOCUMENT = REPOSITORY / "docs" / "cluster-chart.md"
CHECK = jsonschema.Draft7Validator(SCHEMA)


def tree(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object and value of the schema that has a name."""
    for name, option in schema.get("properties", {}).items():
        yield f"{path}{name}", option
        yield from tree(option, f"{path}{name}.")


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_defaults_are_valid_and_exactly_the_values_of_the_schema() -> None:
    CHECK.validate(VALUES)

    def keys(values: dict[str, Any], schema: dict[str, Any]) -> None:
        assert values.keys() == schema["properties"].keys()
        for name, option in schema["properties"].items():
            if "properties" in option:
                keys(values[name], option)

    keys(VALUES, SCHEMA)


def test_every_value_is_described_and_no_object_takes_unknown_ones() -> None:
    for path, option in tree(SCHEMA):
        if not re.search(r"subjects|priorityClasses\.", path) or path == "operator.subjects":
            assert option["description"].endswith("."), path
        if "properties" in option:
            assert option["additionalProperties"] is False, path


RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
WRONG: list[tuple[str, Any]] = [
    ("unknown", 1),
    ("admission.unknown", 1),
    ("devicePlugin.image.unknown", 1),
    ("tenant.extraRules", [RULE | {"verbs": ["*"]}]),
    ("tenant.extraRules", [RULE | {"verbs": ["impersonate"]}]),
    ("tenant.extraRules", [RULE | {"resources": ["*"]}]),
    ("tenant.extraRules", [RULE | {"resources": ["resourcequotas"]}]),
    ("tenant.extraRules", [RULE | {"resources": ["pods/status"]}]),
    ("tenant.extraRules", [RULE | {"apiGroups": ["*"]}]),
    ("tenant.extraRules", [RULE | {"nonResourceURLs": ["/"]}]),
    ("tenant.extraRules", [{"apiGroups": [""], "resources": ["pods"]}]),
    ("operator.subjects", []),
    ("operator.subjects", [{"kind": "Robot", "name": "a"}]),
    ("operator.subjects", [{"kind": "Group", "name": "gpuprov:hpc-1"}]),
    ("operator.subjects", [{"kind": "Group", "name": "system:authenticated"}]),
    ("operator.subjects", [{"kind": "Group", "name": 'a"]) || true'}]),
    ("operator.subjects", [{"kind": "ServiceAccount", "name": "a"}]),
    ("operator.subjects", [{"kind": "User", "name": "a", "namespace": "b"}]),
    ("operator.extraRules", [RULE | {"verbs": ["create"]}]),
    ("operator.extraRules", [RULE | {"resources": ["secrets"]}]),
    ("admission.enabled", "yes"),
    ("admission.actions", []),
    ("admission.actions", ["Deny", "Warn"]),
    ("admission.actions", ["Refuse"]),
    ("admission.exemptGroups", ["system:authenticated"]),
    ("admission.exemptGroups", "system:masters"),
    ("admission.exemptUsers", [""]),
    ("admission.allowedResources", ["cpu"]),
    ("admission.allowedTolerations", [""]),
    ("admission.allowedPriorityClasses", ["A b"]),
    ("admission.maxGracePeriodSeconds", 10),
    ("admission.maxGracePeriodSeconds", "300"),
    ("admission.allowedFinalizers", ["a/b"]),
    ("admission.allowedFinalizers", {"namespaces": ["a/b"]}),
    ("priorityClasses", [{"name": "low", "value": -1}]),
    ("priorityClasses", [{"name": "system-mine", "value": 1}]),
    ("priorityClasses", [{"name": "mine", "value": 1, "preemptionPolicy": "PreemptLowerPriority"}]),
    ("devicePlugin.enabled", 1),
    ("devicePlugin.image.repository", "a b"),
    ("devicePlugin.image.tag", ""),
    ("devicePlugin.image.digest", "sha256:12"),
    ("devicePlugin.image.pullPolicy", "Sometimes"),
    ("devicePlugin.imagePullSecrets", [{"name": "a"}]),
    ("devicePlugin.deviceListStrategy", "envvar"),
    ("devicePlugin.migStrategy", "all"),
    ("devicePlugin.driverRoot", "run"),
    ("devicePlugin.runtimeClassName", "A"),
    ("devicePlugin.priorityClassName", ""),
    ("devicePlugin.nodeSelector", {}),
    ("devicePlugin.nodeSelector", {"a": True}),
    ("devicePlugin.tolerations", ["all"]),
    ("devicePlugin.resources", "small"),
    ("termGuard.enabled", "on"),
    ("termGuard.image.repository", "a b"),
    ("termGuard.image.tag", ""),
    ("termGuard.image.digest", "sha256:12"),
    ("termGuard.image.pullPolicy", "Sometimes"),
    ("termGuard.imagePullSecrets", [{"name": "a"}]),
    ("termGuard.marginSeconds", -1),
    ("termGuard.marginSeconds", "2h"),
    ("termGuard.deleteNamespaces", 1),
    ("termGuard.retentionSeconds", -1),
    ("termGuard.mostAtOnce", 0),
    ("termGuard.dryRun", "no"),
    ("termGuard.intervalSeconds", 0),
    ("termGuard.timeoutSeconds", 0),
    ("termGuard.metrics.port", 80),
    ("termGuard.metrics.scrapers", ["all"]),
    ("termGuard.priorityClassName", "A"),
    ("termGuard.nodeSelector", {"a": True}),
    ("termGuard.tolerations", ["all"]),
    ("termGuard.resources", "small"),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_value_is_refused(path: str, value: Any) -> None:
    assert not CHECK.is_valid(setting(path, value))


def test_every_value_has_a_wrong_one_here() -> None:
    assert {path for path, _ in options()} <= {path for path, _ in WRONG}


@pytest.mark.parametrize("path", ["unknown", "operator.subjects", "devicePlugin.deviceListStrategy"])
def test_helm_refuses_by_the_schema(path: str) -> None:
    value = next(value for name, value in WRONG if name == path and value != [])
    ran = helm("template", "gpuprov", str(CHART), "--kube-version", "1.36.3", values=setting(path, value))
    assert ran.returncode != 0
    assert "values don't meet the specifications of the schema" in ran.stderr


# ---- the document


def test_the_document_has_the_table_of_the_schema() -> None:
    rows = []
    for path, option in options():
        value = ", ".join(f"`{each['name']}`" for each in VALUES[path]) if path == "priorityClasses" else None
        rows.append((path, type_of(option, SCHEMA), value or shown(default(path)), option["description"]))
    assert with_table(DOCUMENT, rows) == DOCUMENT.read_text(encoding="utf-8"), "set GPUPROV_UPDATE_GOLDEN=1 if meant"
