"""What is read from the lines that `pulumi up` prints; the texts are Pulumi's own, shortened."""

import pytest

from gpuprov.engine.console import Screen

CREATED = """\
Updating (bench):

 +  pulumi:pulumi:Stack gpuprov-bench creating (0s)\x20
 +  pulumi:pulumi:Stack gpuprov-bench creating (0s) warning: using pulumi-resource-kubernetes from $PATH
 +  kubernetes:core/v1:Namespace HPC-1 creating (0s)\x20
 +  kubernetes:core/v1:Namespace HPC-1 created (0.05s)\x20
 +  kubernetes:core/v1:ResourceQuota HPC-1 creating (0s) Skipping await logic
 +  kubernetes:core/v1:ResourceQuota HPC-1 created (0.05s)\x20
 +  gpuprov:index:AwardTenant HPC-1 created\x20
Resources:
    + 13 created
    9 unchanged

Duration: 1s
"""

FAILED = """\
Updating (bench):

 +  kubernetes:core/v1:Namespace HPC-2 **creating failed** error: resource "urn:2" was not successfully created
Diagnostics:
  pulumi:pulumi:Stack (gpuprov-bench):
    warning: using pulumi-resource-kubernetes from $PATH
    error: update failed

  kubernetes:core/v1:Namespace (HPC-2):
    error: resource "urn:2" was not successfully created: it is invalid:
    metadata.annotations: Too long

    warning: not this one
  kubernetes:core/v1:Namespace (HPC-1):
    error: resource "urn:1" was not successfully created
    error: resource "urn:1" was not successfully created

Resources:
    + 9 created
    3 errored

Duration: 1s
"""

ALL_KINDS = """\
Resources:
    + 1 created
    ~ 22 updated
    - 3 deleted
    +-4 replaced
    30 changes. 5 unchanged
    6 unchanged
"""


def read(text: str) -> Screen:
    screen = Screen(lambda line: None)
    for line in text.splitlines():
        screen(line.rstrip())
    return screen


def test_a_good_run_has_operations_and_no_errors() -> None:
    screen = read(CREATED)
    assert (screen.operations, screen.errors) == ({"create": 13, "same": 9}, "")


def test_errors_are_told_whole_and_once_each() -> None:
    screen = read(FAILED)
    assert screen.errors == (
        'resource "urn:2" was not successfully created: it is invalid:\nmetadata.annotations: Too long\n'
        'resource "urn:1" was not successfully created'
    )
    assert screen.operations == {"create": 9}


def test_every_kind_of_operation_is_counted() -> None:
    assert read(ALL_KINDS).operations == {"create": 1, "update": 22, "delete": 3, "replace": 4, "same": 6}


def test_progress_counts_finished_objects_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(Screen, "_EVERY_SECONDS", 0.0)
    screen = Screen(told.append)
    for line in CREATED.splitlines():
        screen(line.rstrip())
    assert told == ["1 object", "2 objects", "3 objects"]


def test_a_deletion_is_progress_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(Screen, "_EVERY_SECONDS", 0.0)
    screen = Screen(told.append)
    screen(" -  kubernetes:core/v1:Namespace HPC-1 deleting (0s)")
    screen(" -  kubernetes:core/v1:Namespace HPC-1 deleted (5.1s)")
    screen(" ~  kubernetes:core/v1:ResourceQuota HPC-1 updated (0.02s) [diff: ~spec]")
    assert told == ["1 object", "2 objects"]
