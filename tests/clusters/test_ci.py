"""The pipelines of `gpuprov init --ci`, run block by block: a programme office that never types a command.

Clusters and Pulumi are real; the platform is a server that has its notes and issues.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from documents import DOCS, blocks
from gitlab_pipelines import GitLab
from kubernetes import client
from pipelines import GitHub, Office, build_wheel, git
from played_forge import PLATFORMS, TOKEN, Played
from projects import REPOSITORY, run_command
from story import PROVIDERS, World

from gpuprov import toolchain

pytestmark = pytest.mark.sandbox

EXAMPLE = REPOSITORY / "examples" / "programme"
MARCH, JULY = "2026-03-01T09:00:00+09:00", "2026-07-01T00:03:00+09:00"
PASSPHRASE = "planted-passphrase-55d0"
RUNNERS = {"github": GitHub, "gitlab": GitLab}
DEFAULTS = "defaults"
LEFT = "HPC-2026-1-006"
NEW = "HPC-2026-1-013,하랑기술,1,2,KT클라우드,H200,2,2026-01-01,2026-06-30,선정\n"
EVENT = (
    f'{{"award":"{LEFT}","at":"2026-02-20T09:00:00+09:00","by":"kim","reason":"gave up",'
    '"recorded":"2026-02-20T09:00:03+09:00","event":"forfeited"}\n'
)


@dataclass
class Programme:
    """The office's clone, its pipelines, and what is there of it on the platform and on the clusters."""

    office: Office
    pipelines: GitHub | GitLab
    played: Played
    world: World

    @property
    def clone(self) -> Path:
        return self.office.folder / "clone"

    def propose(self, branch: str, message: str) -> None:
        """Commit what was changed in the clone on a branch, and push it."""
        git(self.clone, "checkout", "--quiet", "-B", branch)
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "--quiet", "-m", message)
        git(self.clone, "push", "--quiet", "--force", "origin", branch)

    def merge(self, branch: str) -> None:
        git(self.clone, "push", "--quiet", "origin", f"{branch}:main")

    def append(self, file: str, text: str) -> None:
        with (self.clone / file).open("a", encoding="utf-8") as stream:
            stream.write(text)

    @property
    def comment(self) -> str:
        (comment,) = self.played.comments
        return str(comment["body"])

    def namespaces(self) -> dict[str, int]:
        return {provider: len(self.world.namespaces(provider)) for provider in PROVIDERS}


def contexts(text: str, provider: str, token: str = "") -> str:
    """Return a kubeconfig with the identity of gpuprov on one provider's cluster, or that of a token, and no other."""
    document = yaml.safe_load(text)
    (context,) = [context for context in document["contexts"] if context["name"] == provider]
    users = [user for user in document["users"] if user["name"] == context["context"]["user"]]
    if token:
        users = [user | {"user": {"token": token}} for user in users]
    clusters = [cluster for cluster in document["clusters"] if cluster["name"] == provider]
    return yaml.safe_dump(document | {"contexts": [context], "users": users, "clusters": clusters})


ACCOUNT = "previews"


@pytest.fixture(scope="module")
def previews(world: World) -> Iterator[dict[str, str]]:
    """Apply what docs/ci.md says on each cluster, for an account; return the account's tokens."""
    (text,) = blocks((DOCS / "ci.md").read_text(encoding="utf-8"), "yaml")
    role, binding = yaml.safe_load_all(text)
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
    tokens, apis = {}, {provider: client.RbacAuthorizationV1Api(world.connection(provider)) for provider in PROVIDERS}
    for provider, rbac in apis.items():
        rbac.create_cluster_role(role)
        rbac.create_cluster_role_binding(binding | {"subjects": [subject]})
        core = world.core(provider)
        core.create_namespaced_service_account("default", {"metadata": {"name": ACCOUNT}})
        asked = {"spec": {"audiences": [], "expirationSeconds": 7200}}
        tokens[provider] = core.create_namespaced_service_account_token(ACCOUNT, "default", asked).status.token
    yield tokens
    for provider, rbac in apis.items():
        rbac.delete_cluster_role_binding(binding["metadata"]["name"])
        rbac.delete_cluster_role(role["metadata"]["name"])
        world.core(provider).delete_namespaced_service_account(ACCOUNT, "default")


@pytest.fixture(scope="module", params=RUNNERS)
def programme(
    request: pytest.FixtureRequest,
    world: World,
    previews: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Programme]:
    folder = tmp_path_factory.mktemp(request.param)
    kubeconfig = world.sandbox.kubeconfig.read_text(encoding="utf-8")
    (folder / "state").mkdir()

    def secrets(environment: str) -> Mapping[str, str]:
        provider = environment.removeprefix("preview-").removeprefix("preview/")
        if provider not in PROVIDERS:
            return {}
        return {
            "KUBECONFIG": contexts(kubeconfig, provider, previews[provider] if provider != environment else ""),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        }

    played = Played()
    with PLATFORMS[request.param](played) as variables:
        own = {name: value for name, value in variables.items() if not name.endswith("_TOKEN")}
        office = Office(folder, secrets, own, TOKEN, at=MARCH)
        git(folder, "init", "--quiet", "--bare", str(office.origin))
        shutil.copytree(EXAMPLE, folder / "clone")
        build_wheel(folder / "clone" / "wheels")
        git(folder / "clone", "init", "--quiet")
        git(folder / "clone", "remote", "add", "origin", str(office.origin))
        made = Programme(office, RUNNERS[request.param](office), played, world)
        made.propose("main", "Begin")
        try:
            yield made
        finally:
            world.clean()
    assert [text for text in office.said if TOKEN in text or PASSPHRASE in text] == []


def said(programme: Programme) -> str:
    return "\n".join(programme.office.said[-12:])


def test_a_year_of_an_office_that_types_no_command(programme: Programme) -> None:
    pipelines = programme.pipelines
    # tests/forge shows of each platform that a note is written anew and an issue closed; here one pipeline does it.
    anew = isinstance(pipelines, GitHub)
    done = pipelines.merged()
    assert done == {"up": True}, said(programme)
    assert programme.namespaces() == {"elice-cloud": 5, "kt-cloud": 3, "samsung-sds": 3}

    # a pull request: one award more, and one that is given up
    programme.append("awards.csv", NEW)
    programme.propose("change", "Add an award")
    if anew:
        assert pipelines.pull_request("change") == {"files": True, "preview": True, "comment": True}, said(programme)
        assert "### GPU 쿼터: GPU가 늘어나는 과제 1건\n" in programme.comment
    programme.append("ledger.jsonl", EVENT)
    programme.propose("change", "Record that one was given up")
    assert pipelines.pull_request("change") == {"files": True, "preview": True, "comment": True}, said(programme)
    assert "하랑기술 | 0 → 2 H200" in programme.comment
    assert "GPU가 늘어나는 과제 1건; 줄거나 회수되는 과제 1건" in programme.comment
    assert "**회수:** elice-cloud H100 8개" in programme.comment
    assert len(programme.played.comments) == 1
    assert programme.namespaces()["elice-cloud"] == 5  # nothing was changed yet

    # merged
    programme.merge("change")
    assert pipelines.merged() == {"up": True}, said(programme)
    assert programme.namespaces() == {"elice-cloud": 4, "kt-cloud": 4, "samsung-sds": 3}

    # a night with drift, and the next after it was put right
    namespace = sorted(programme.world.namespaces("kt-cloud"))[0]
    core = programme.world.core("kt-cloud")
    core.delete_namespaced_limit_range(DEFAULTS, namespace)
    assert pipelines.nightly() == {"look": True, "issue": True}, said(programme)
    (issue,) = programme.played.open_issues()
    assert "바로잡는 과제 1건" in issue["body"]
    if anew:
        assert pipelines.merged() == {"up": True}, said(programme)
        assert [item.metadata.name for item in core.list_namespaced_limit_range(namespace).items] == [DEFAULTS]
        assert pipelines.nightly() == {"look": True, "issue": True}, said(programme)
        assert programme.played.open_issues() == []

    # the first hour after the term's end
    programme.office.at = JULY
    assert pipelines.hourly() == {"expire": True}, said(programme)
    assert sum(programme.namespaces().values()) == 0
    programme.office.at = MARCH


def test_a_change_that_rewrites_what_was_decided_is_stopped_and_told(programme: Programme) -> None:
    git(programme.clone, "checkout", "--quiet", "-B", "rewrite", "origin/main")
    programme.played.comments.clear()
    ledger = programme.clone / "ledger.jsonl"
    ledger.write_text(ledger.read_text(encoding="utf-8").replace("usage below half", "none"), encoding="utf-8")
    programme.propose("rewrite", "As if it had been so")
    done = programme.pipelines.pull_request("rewrite")
    assert done == {"files": False, "preview": None, "comment": True}, said(programme)
    assert "| ledger.jsonl | 2 |" in programme.comment


def test_the_workflows_pass_actionlint(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / ".github", tmp_path / ".github")
    git(tmp_path, "init", "--quiet")
    program = toolchain.ensure(("actionlint",)).binary("actionlint")
    # GitHub has `queue` since May 2026, and actionlint 1.7.12 of March does not know it
    known = 'unexpected key "queue" for "concurrency" section'
    ran = run_command([str(program), "-ignore", known, "-no-color"], tmp_path, {"PATH": "/usr/bin:/bin"})
    assert (ran.code, ran.out) == (0, ""), ran
    path = tmp_path / ".github" / "workflows" / "deploy.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("matrix.provider", "matrix.supplier"), encoding="utf-8")
    ran = run_command([str(program), "-ignore", known, "-no-color"], tmp_path, {"PATH": "/usr/bin:/bin"})
    assert (ran.code, 'property "supplier" is not defined' in ran.out) == (1, True), ran
