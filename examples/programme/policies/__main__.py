"""The policy pack: wires gpuprov's rules (gpuprov/core/rules) to Pulumi. ``PolicyPack`` serves until Pulumi ends it."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import given
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from gpuprov.core.manifests import Manifest
from gpuprov.core.rules import OBJECT_RULES, STACK_RULES, ObjectRule, Rule, StackRule
from gpuprov.errors import GpuprovError
from gpuprov.run.clock import AT_VARIABLE

try:
    GIVEN = given.read(Path.cwd().parent, os.environ["PULUMI_STACK"], os.environ.get(AT_VARIABLE))
except GpuprovError as error:
    sys.exit(f"the policy pack cannot read the project: {error}")


class _Resource(Protocol):
    """What Pulumi hands to both kinds of policies."""

    resource_type: str
    name: str
    props: Mapping[str, Any]


def _manifest(resource: _Resource) -> Manifest | None:
    return given.manifest(resource.resource_type, resource.name, given.plain(resource.props, UnknownValueError))


def _on_object(name: Rule, rule: ObjectRule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        one = _manifest(args)
        for violation in () if one is None else rule(one, GIVEN.bounds):
            report(violation.text, None)
        if name is Rule.INSIDE and args.resource_type == given.PROVIDER:
            wrong = given.leads_elsewhere(given.plain(args.props, UnknownValueError), GIVEN.bounds.cluster)
            if wrong is not None:
                report(f"provider {args.name}: {wrong}", None)

    return ResourceValidationPolicy(name=name, description=_first_line(rule), validate=validate)


def _on_stack(name: Rule, rule: StackRule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        objects = [one for one in map(_manifest, args.resources) if one is not None]
        for violation in rule([*objects, *GIVEN.elsewhere], GIVEN.bounds):
            report(violation.text, None)

    return StackValidationPolicy(name=name, description=_first_line(rule), validate=validate)


def _first_line(rule: Callable[..., Any]) -> str:
    return (inspect.getdoc(rule) or "").partition("\n")[0]


PolicyPack(
    name="gpuprov",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *(_on_object(name, rule) for name, rule in OBJECT_RULES.items()),
        *(_on_stack(name, rule) for name, rule in STACK_RULES.items()),
    ],
)
