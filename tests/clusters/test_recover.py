"""A state that was lost, is of yesterday or damaged is rebuilt from a real cluster, of which nothing is written.

On each backend that teams keep it in: a folder, an S3 server, PostgreSQL.
"""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from backends import DATABASE, KINDS, FileBackend, PostgresBackend, S3Backend, backend
from projects import Ran, killed
from sandbox_fixtures import api_of, eventually
from story import MARCH, World, make_project
from test_backends import Kept

from gpuprov.core.cluster import stack_names
from gpuprov.core.manifests import TENANT_TYPE

pytestmark = pytest.mark.sandbox

KT = "kt-cloud"
JULY = "2026-07-01T00:00:00+09:00"
ROW = (
    "HPC-2026-8-{number:03d},새연구소,대학,책임자,new@example.org,1,"
    "{gpus},KT클라우드,H200,{gpus},2026-01-01,2026-06-30,선정,"
)
OURS = "app.kubernetes.io/managed-by=gpuprov"
OF_THE_MOMENT = ("created", "modified", "sourcePosition", "stackTrace")


def award(number: int) -> str:
    return f"HPC-2026-8-{number:03d}"


def namespace(number: int) -> str:
    return f"gpu-hpc-2026-8-{number:03d}"


class State:
    """The bytes of a stack's state in a backend: an operator who breaks them, and looks what became of them."""

    def __init__(self, kept: Kept, stack: str = KT) -> None:
        self.kept = kept
        self.backend = kept.backend
        self.stack = stack

    @property
    def _folder(self) -> FileBackend:
        assert isinstance(self.backend, FileBackend | S3Backend)
        return self.backend if isinstance(self.backend, FileBackend) else self.backend.bucket

    def _key(self, name: str) -> str:
        return f"{DATABASE}/.pulumi/stacks/gpuprov/{name}"

    def read(self, suffix: str = "") -> str:
        name = f"{self.stack}.json{suffix}"
        if isinstance(self.backend, PostgresBackend):
            found = self.backend.ask("SELECT data->>'data' FROM pulumi_state WHERE key = :'key'", key=self._key(name))
            assert found.returncode == 0, found.stderr
            return found.stdout.strip()
        path = self._folder.folder / ".pulumi" / "stacks" / "gpuprov" / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def write(self, text: str) -> None:
        name = f"{self.stack}.json"
        if isinstance(self.backend, PostgresBackend):
            data = json.dumps({"data": text})  # in the statement: it is too long for an argument
            statement = f"UPDATE pulumi_state SET data = $data${data}$data$ WHERE key = :'key'"  # noqa: S608 (of tests)
            done = self.backend.ask(statement, key=self._key(name))
            assert done.returncode == 0, done.stderr
            return
        path = self._folder.folder / ".pulumi" / "stacks" / "gpuprov" / name
        path.unlink(missing_ok=True)  # with the checksum that the S3 server keeps in its attributes
        path.write_text(text, encoding="utf-8")

    def delete(self) -> None:
        """Lose all that the backend has of the stack."""
        if isinstance(self.backend, PostgresBackend):
            done = self.backend.ask(
                "DELETE FROM pulumi_state WHERE key LIKE :'key'", key=f"{self._key(self.stack)}.json%"
            )
            assert done.returncode == 0, done.stderr
            return
        for path in (self._folder.folder / ".pulumi" / "stacks" / "gpuprov").glob(f"{self.stack}.json*"):
            path.unlink()


@pytest.fixture(scope="module", params=KINDS)
def kept(request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp(f"recover-{request.param}")
    make_project(root)
    for other in ("samsung-sds", "elice-cloud"):
        (root / "stacks" / f"Pulumi.{other}.yaml").unlink()
    with backend(request.param) as where:
        story = Kept(world, root, where)
        try:
            yield story
        finally:
            world.clean()


@pytest.fixture
def granted(kept: Kept) -> Kept:
    """Three awards that list, state and cluster agree on, whatever the test before has left."""
    kept.split(KT, 1)
    lists(kept, {1: 1, 2: 2, 3: 4})
    assert up(kept).code == 0
    return kept


ON_FILES = pytest.mark.parametrize("kept", ["file"], indirect=True)
"""What is the same on every backend."""


def lists(kept: Kept, gpus: dict[int, int]) -> None:
    kept.edit_list(lambda rows: [ROW.format(number=number, gpus=of) for number, of in gpus.items()])


def up(kept: Kept) -> Ran:
    return kept.on_it("up", "--yes", "--allow-teardown", "9", "--allow-change", "9")


COLLECTIONS = (
    "/api/v1/namespaces",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/api/v1/configmaps",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)


Versions = dict[tuple[str, str, str], str]


def versions(kept: Kept) -> Versions:
    """The resourceVersion of every object of awards: what was written since has another. Of quotas, whose status a
    controller writes whenever it likes, the version of all but that: what they say, and who has written it.
    """
    found: Versions = {}
    for path in COLLECTIONS:
        reply = api_of(kept.world.sandbox, KT).request("GET", f"{path}?labelSelector={quote(OURS)}")
        assert reply.ok, reply
        for item in reply.body["items"]:
            of = item["metadata"]
            version = of["resourceVersion"]
            if path.endswith("/resourcequotas"):
                writers = [writer for writer in of["managedFields"] if writer.get("subresource") != "status"]
                version = json.dumps([item["spec"], of.get("annotations"), of.get("labels"), writers], sort_keys=True)
            found[path, of.get("namespace", ""), of["name"]] = version
    return found


def settled(kept: Kept) -> Versions:
    """The versions once the cluster's own controllers have nothing left to write."""
    last = versions(kept)

    def same() -> bool:
        nonlocal last
        time.sleep(1.0)
        before, last = last, versions(kept)
        return before == last

    eventually(same)
    return last


def recovered(kept: Kept, *options: str) -> list[dict[str, Any]]:
    """Recover, of which nothing on the cluster is written; return what it did."""
    before = settled(kept)
    ran = kept.on_it("recover", "--yes", "--json", *options)
    assert ran.code == 0, ran
    assert versions(kept) == before
    done: list[dict[str, Any]] = ran.data["recovered"].get(KT, [])
    return done


def codes(kept: Kept, at: str = MARCH) -> list[str]:
    ran = kept.on_it("doctor", "--json", at=at)
    assert ran.code in (0, 1), ran
    return [found["code"] for found in ran.data["findings"] if found["code"] != "ledger-uncommitted"]


def in_step(kept: Kept, *stacks: str, refresh: bool = False) -> None:
    """Doctor finds nothing, and Pulumi neither, by its state alone or by what it reads itself."""
    assert codes(kept) == []
    # What the cluster has is the same on every backend.
    refreshing = refresh and isinstance(kept.backend, FileBackend)
    for stack in stacks or (KT,):
        for options in ((), ("--refresh",)) if refreshing else ((),):
            ran = kept.by_hand("preview", stack, "--expect-no-changes", *options)
            assert ran.code == 0, ran.out[-2500:] + ran.err
    assert kept.on_it("recover", "--json").data == {"recovered": {}, "failed": {}}  # nothing left to ask about


def exported(kept: Kept, stack: str = KT) -> dict[str, str]:
    """What the state has, by URN, without what is of the moment: when it was written, and what controllers count."""
    ran = kept.by_hand("stack", stack, "export")
    assert ran.code == 0, ran
    resources = json.loads(ran.out)["deployment"]["resources"]
    (plugin,) = (resource["id"] for resource in resources if resource["type"] == "pulumi:providers:kubernetes")
    return {resource["urn"]: lasting(resource).replace(plugin, "the plugin") for resource in resources}


def lasting(resource: dict[str, Any]) -> str:
    for name in OF_THE_MOMENT:
        resource.pop(name, None)
    if not any(
        resource.get("propertyDependencies", {}).values()
    ):  # Pulumi leaves them out where a run has no part in it
        resource.pop("propertyDependencies", None)
    outputs = resource.get("outputs", {})
    outputs.pop("status", None)
    for name in ("managedFields", "resourceVersion"):
        outputs.get("metadata", {}).pop(name, None)
    return json.dumps(resource, ensure_ascii=False, sort_keys=True, indent=1)


def assert_same(now: dict[str, str], before: dict[str, str]) -> None:
    assert now.keys() == before.keys()
    for urn, text in now.items():
        assert text == before[urn]


def test_a_state_that_was_deleted_comes_back_as_it_was(granted: Kept) -> None:
    before = exported(granted)
    State(granted).delete()
    assert codes(granted) == ["state-lost"]
    asked = granted.on_it("recover")
    assert (asked.code, "pass --yes" in asked.err, State(granted).read()) == (2, True, "")
    (done,) = recovered(granted)
    assert done == {
        "stack": KT,
        "was": "lost",
        "added": [award(number) for number in (1, 2, 3)],
        "removed": [],
        "renewed": [],
        "set_aside": None,
    }
    assert_same(exported(granted), before)
    in_step(granted, refresh=True)


def test_a_state_of_yesterday_learns_what_came_and_went_and_changed(granted: Kept) -> None:
    yesterday = State(granted).read()
    lists(granted, {2: 1, 3: 4, 4: 2})
    assert up(granted).code == 0
    after = exported(granted)
    State(granted).write(yesterday)
    assert codes(granted) == ["state-old"]
    (done,) = recovered(granted)
    assert (done["was"], done["added"], done["removed"], done["renewed"]) == ("old", [award(4)], [award(1)], [award(2)])
    assert_same(exported(granted), after)
    in_step(granted, refresh=True)


@pytest.mark.parametrize("part", [0.0, 0.6])
def test_a_truncated_state_is_set_aside_and_rebuilt(granted: Kept, part: float) -> None:
    before = exported(granted)
    whole = State(granted).read()
    truncated = whole[: int(len(whole) * part)]
    State(granted).write(truncated)
    assert codes(granted) == ["state-damaged"]
    ran = up(granted)
    assert (ran.code, "gpuprov recover" in ran.err) == (5, True), ran
    (done,) = recovered(granted)
    assert (done["was"], bool(done["set_aside"])) == ("damaged", True)
    assert State(granted).read(".bak") == truncated
    if isinstance(granted.backend, FileBackend):
        assert Path(done["set_aside"]).read_text(encoding="utf-8") == truncated
    assert_same(exported(granted), before)
    in_step(granted)


@ON_FILES
def test_what_is_not_as_list_and_ledger_want_it_is_left_to_the_next_run(granted: Kept) -> None:
    core = granted.world.core(KT)
    core.patch_namespaced_resource_quota("gpu", namespace(2), {"spec": {"hard": {"requests.nvidia.com/gpu": "7"}}})
    lists(granted, {1: 1, 2: 2})  # the third is not wanted any more
    State(granted).delete()
    assert sorted(codes(granted)) == ["drifted", "state-lost", "unwanted"]
    (done,) = recovered(granted)
    assert done["added"] == [award(number) for number in (1, 2, 3)]
    assert granted.world.quotas(KT) == {namespace(1): 1, namespace(2): 7, namespace(3): 4}
    assert sorted(codes(granted)) == ["drifted", "unwanted"]
    assert up(granted).code == 0
    assert granted.world.quotas(KT) == {namespace(1): 1, namespace(2): 2}
    in_step(granted)


@ON_FILES
def test_entries_that_an_old_state_has_left_are_found_and_removed(granted: Kept) -> None:
    """It came back between a run's look at the outputs and Pulumi's own: the outputs are right, and do not tell."""
    state = json.loads(State(granted).read())
    resources = state["checkpoint"]["latest"]["resources"]
    component = next(resource for resource in resources if resource["type"] == TENANT_TYPE)
    name = component["urn"].rpartition("::")[2]
    resources.append(json.loads(json.dumps(component).replace(name, award(99))))
    State(granted).write(json.dumps(state))
    assert codes(granted) == ["state-old"]
    (done,) = recovered(granted)
    assert (done["was"], done["added"], done["removed"]) == ("old", [], [award(99)])
    in_step(granted)


@ON_FILES
def test_what_has_ended_meanwhile_is_torn_down_and_leaves_the_state(granted: Kept) -> None:
    State(granted).delete()
    recovered(granted)
    assert granted.on_it("expire", "--yes", at=JULY).code == 0
    assert (granted.world.namespaces(KT), granted.stack_types(KT)) == (set(), ["pulumi:pulumi:Stack"])
    assert codes(granted, at=JULY) == []


def test_one_that_is_killed_is_rerun(granted: Kept) -> None:
    chance = random.Random(20260703)  # noqa: S311 (moments, not secrets)
    lists(granted, dict.fromkeys(range(1, 13), 1))
    granted.split(KT, 3)
    assert up(granted).code == 0
    stacks = stack_names(KT, 3)
    every = isinstance(granted.backend, FileBackend)
    for writes in (1, 2, 3) if every else (2,):  # it is killed while it writes this one of the states
        for stack in stacks:
            State(granted, stack).delete()
        before = settled(granted)
        with granted.start_until("writing the state of", "recover", "--yes", "--provider", KT, times=writes) as process:
            time.sleep(chance.uniform(0.0, 0.2))
            assert killed(process)
        ran = granted.on_it("recover", "--yes")
        assert ran.code == 0, ran
        assert versions(granted) == before
        assert (codes(granted), granted.backend.locks()) == ([], [])
    in_step(granted, *stacks)


@ON_FILES
def test_one_of_several_stacks_is_rebuilt_and_the_others_are_not_touched(granted: Kept) -> None:
    lists(granted, dict.fromkeys(range(1, 9), 1))
    granted.split(KT, 2)
    assert up(granted).code == 0
    first, second = stack_names(KT, 2)
    untouched = State(granted, first).read()
    State(granted, second).delete()
    (done,) = recovered(granted)
    assert done["stack"] == second
    assert State(granted, first).read() == untouched
    in_step(granted, first, second)


@ON_FILES
def test_a_stack_that_the_settings_do_not_have_any_more_keeps_its_awards_until_they_are_moved(granted: Kept) -> None:
    lists(granted, dict.fromkeys(range(1, 9), 1))
    granted.split(KT, 2)
    assert up(granted).code == 0
    second = stack_names(KT, 2)[1]
    number = next(int(name[-3:]) for name in json.loads(granted.by_hand("stack", second, "output", "tenants").out))
    lists(granted, {other: 1 for other in range(1, 9) if other != number})
    granted.world.core(KT).delete_namespace(namespace(number))
    eventually(lambda: namespace(number) not in granted.world.namespaces(KT))
    granted.split(KT, 1)
    assert codes(granted) == ["state-old", "state-settings"]
    (done,) = recovered(granted)
    assert (done["stack"], done["removed"]) == (second, [award(number)])
    assert codes(granted) == ["state-settings"]
    assert up(granted).code == 0
    in_step(granted)


@ON_FILES
def test_the_state_of_the_set_up_is_set_aside_and_the_next_set_up_adopts_what_there_is(granted: Kept) -> None:
    setup = f"{KT}.setup"
    granted.ok("setup", "--yes")
    State(granted, setup).write("{")
    assert codes(granted) == ["state-damaged"]
    (done,) = recovered(granted)
    assert (done["stack"], done["was"]) == (setup, "damaged")
    assert codes(granted) == ["setup-state"]
    granted.ok("setup", "--yes")
    in_step(granted)
    ran = granted.by_hand("preview", setup, "--expect-no-changes")
    assert ran.code == 0, ran.out[-2500:] + ran.err


@ON_FILES
def test_a_run_at_work_is_not_disturbed_and_another_cluster_not_adopted(granted: Kept) -> None:
    State(granted).delete()
    with granted.world.held(KT, "lee@night-shift/0"):
        ran = granted.on_it("recover", "--yes")
        assert (ran.code, "is at work on this cluster" in ran.err, State(granted).read()) == (5, True, ""), ran
    text = (granted.root / "stacks" / f"Pulumi.{KT}.yaml").read_text(encoding="utf-8")
    granted.configure(KT, lambda old: old.replace("    pools:", "    uid: of-another-cluster\n    pools:", 1))
    ran = granted.on_it("recover", "--yes")
    assert (ran.code, "of-another-cluster" in ran.err, State(granted).read()) == (5, True, ""), ran
    granted.configure(KT, lambda _: text)
    recovered(granted)
    in_step(granted)
