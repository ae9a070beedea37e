"""An award's life with Pulumi's state in a folder, on an S3 server and in PostgreSQL, each of them real."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from backends import KINDS, SECRET, Backend, backend
from projects import OTHERS_LOCK, Ran, killed
from sandbox_fixtures import eventually
from story import Story, World, make_project

pytestmark = pytest.mark.sandbox

PROVIDER = "kt-cloud"
AWARDS = {"HPC-2026-1-002": "gpu-hpc-2026-1-002", "HPC-2026-1-007": "gpu-hpc-2026-1-007"}
JULY = "2026-07-01T00:00:00+09:00"


@dataclass(frozen=True)
class Kept(Story):
    """A project whose state is kept in a backend."""

    backend: Backend

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | dict(self.backend.variables)

    def on_it(self, *command: str, at: str = "2026-03-01T09:00:00+09:00") -> Ran:
        """Run a command on the one provider; whatever it says, no secret is in it."""
        ran = self.run(*command, "--provider", PROVIDER, at=at)
        assert SECRET not in ran.out + ran.err
        return ran

    def all_there(self) -> bool:
        return self.world.namespaces(PROVIDER) == set(AWARDS.values())


@pytest.fixture(scope="module", params=KINDS)
def kept(request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp(request.param)
    make_project(root)
    with backend(request.param) as where:
        story = Kept(world, root, where)
        story.edit_list(lambda rows: [row for row in rows if row.split(",")[0] in AWARDS])
        uid = world.core(PROVIDER).read_namespace("kube-system").metadata.uid
        story.configure(PROVIDER, lambda text: text.replace("    pools:", f"    uid: {uid}\n    pools:", 1))
        try:
            yield story
        finally:
            world.clean()


@pytest.fixture
def granted(kept: Kept) -> Kept:
    """Both awards, whatever the test before has left."""
    assert kept.on_it("up", "--yes").code == 0
    assert kept.all_there()
    return kept


def test_an_award_lives_and_ends(granted: Kept) -> None:
    granted.in_step([PROVIDER])
    assert granted.on_it("status").code == 0
    ended = granted.on_it("expire", "--yes", at=JULY)
    assert (ended.code, granted.world.namespaces(PROVIDER)) == (0, set()), ended
    assert granted.stack_types(PROVIDER) == ["pulumi:pulumi:Stack"]
    assert granted.on_it("plan", "--exit-code", at=JULY).code == 0


def test_the_lock_of_a_killed_run_is_removed_by_the_next(granted: Kept) -> None:
    assert granted.on_it("expire", "--yes", at=JULY).code == 0
    process = granted.start("up", "--yes", "--provider", PROVIDER)
    eventually(granted.backend.locks)
    assert killed(process)
    assert granted.backend.locks()
    ran = granted.on_it("up", "--yes")
    assert (ran.code, "removing the lock that a killed run left" in ran.err) == (0, True), ran
    assert (granted.all_there(), granted.backend.locks()) == (True, [])
    granted.in_step([PROVIDER])


def test_a_lock_of_another_machine_is_broken_by_an_explicit_command(granted: Kept) -> None:
    granted.backend.lock(PROVIDER)
    assert granted.on_it("expire", "--yes", at=JULY).code == 5
    assert granted.world.namespaces(PROVIDER) == set()  # free all the same
    assert granted.backend.locks()
    removed = granted.on_it("unlock", "--yes", "--json")
    assert removed.data == {"removed": {PROVIDER: {PROVIDER: [OTHERS_LOCK]}}, "freed": {}, "failed": {}}
    assert granted.backend.locks() == []
    assert granted.on_it("expire", "--yes", at=JULY).code == 0
    assert granted.stack_types(PROVIDER) == ["pulumi:pulumi:Stack"]


def test_where_the_backend_is_away_gpus_come_back_and_the_state_follows(granted: Kept) -> None:
    granted.backend.stop()
    try:
        ran = granted.on_it("up", "--yes")
        assert (ran.code, "PULUMI_BACKEND_URL" in ran.err) == (5, True), ran
        assert granted.all_there()
        ended = granted.on_it("expire", "--yes", at=JULY)
        assert (ended.code, granted.world.namespaces(PROVIDER)) == (5, set()), ended
    finally:
        granted.backend.start()
    assert granted.on_it("expire", "--yes", at=JULY).code == 0
    assert granted.stack_types(PROVIDER) == ["pulumi:pulumi:Stack"]


def test_the_secret_of_the_backend_is_in_no_file_of_the_project(granted: Kept) -> None:
    files = [path for path in granted.root.rglob("*") if path.is_file()]
    assert len(files) > len(AWARDS)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
