"""Credentials from API servers that answer from a table: whose clock counts, and what a revocation needs."""

import base64
import ssl
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cli_world import JULY, MARCH, PROVIDERS, World
from loopback import JsonHandler, refusal, serving, unused_port

from gpuprov.core.manifests import labels
from gpuprov.core.naming import namespace
from gpuprov.load.project import open_project
from gpuprov.run.loading import load
from gpuprov.sandbox.pki import Authority

STUDIO, GPUS = "HPC-2026-1-003", "gpu-hpc-2026-1-003"
OTHER = "HPC-2026-1-007"
NOW = ""  # no instant is asked for
ACCOUNT = "serviceaccounts/awardee"


@dataclass
class Clusters:
    """Namespaces and service accounts by provider and path, a clock, and what each token request asked for."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    clock: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    kept: set[str] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    longer: int = 0
    slow: timedelta = timedelta()
    accounts: int = 0

    def tenant(self, provider: str, award: str, **metadata: Any) -> None:
        """Put the award's namespace there, with a service account in it."""
        ours = {"app.kubernetes.io/managed-by": "gpuprov", "gpuprov.dev/provider": provider}
        self.objects[f"{provider}/{namespace(award)}"] = {"metadata": {"labels": ours} | metadata}
        self.account(f"{provider}/{namespace(award)}/{ACCOUNT}")

    def account(self, path: str) -> None:
        self.accounts += 1
        self.objects[path] = {"metadata": {"uid": f"uid-{self.accounts}"}}

    def have_accounts(self) -> set[str]:
        return {path.split("/")[0] for path in self.objects if path.endswith(ACCOUNT)}

    def token(self, seconds: int) -> dict[str, Any]:
        self.asked.append(seconds)
        if len(self.asked) == 1:
            self.clock += self.slow
        ends = self.clock + timedelta(seconds=seconds + self.longer)
        return {
            "metadata": {"creationTimestamp": written(self.clock)},
            "status": {"token": "secret", "expirationTimestamp": written(ends)},
        }


def written(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def handler(clusters: Clusters) -> type[JsonHandler]:
    class Handler(JsonHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(clusters.clock.astimezone(UTC), usegmt=True)

        def answer(self) -> None:
            provider, _, rest = urlsplit(self.path).path.strip("/").partition("/")
            path = f"{provider}/{rest.removeprefix('api/v1/namespaces/')}"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if rest == "version":
                self.reply(200, {"gitVersion": "v1.36.3"})
            elif self.command == "GET":
                found = clusters.objects.get(path)
                self.reply(*((200, found) if found else refusal(404, "NotFound", path.rpartition("/")[2])))
            elif self.command == "DELETE":
                if provider not in clusters.kept:
                    clusters.objects.pop(path, None)
                self.reply(200, {})
            elif path.endswith("/token"):
                self.reply(201, clusters.token(yaml.safe_load(body)["spec"]["expirationSeconds"]))
            elif f"{path}/awardee" in clusters.objects:
                self.reply(*refusal(409, "AlreadyExists", "awardee"))
            else:
                clusters.account(f"{path}/awardee")
                self.reply(201, {})

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the base class's names)

    return Handler


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ssl.SSLContext]:
    """A certificate authority, and what a server needs that it vouches for."""
    made = Authority("the suppliers")
    pair = made.server("kube-apiserver")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return made.certificate, context


@pytest.fixture
def clusters(world: World, authority: tuple[bytes, ssl.SSLContext]) -> Iterator[Clusters]:
    """API servers of all providers; samsung-sds has the studio's namespace, and an account in it."""
    certificate, context = authority
    made = Clusters()
    made.tenant("samsung-sds", STUDIO)
    with serving(handler(made), context) as url:
        world.contexts({provider: f"{url}/{provider}" for provider in PROVIDERS})
        authority_data = {"certificate-authority-data": base64.b64encode(certificate).decode()}
        for provider in PROVIDERS:
            edit_cluster(world, provider, **authority_data)
        yield made


def edit_cluster(world: World, provider: str, **changed: str) -> None:
    """Change the entry of a provider's cluster in the kubeconfig."""
    path = Path(world.environment["KUBECONFIG"])
    document = yaml.safe_load(path.read_text())
    (entry,) = [entry for entry in document["clusters"] if entry["name"] == provider]
    entry["cluster"] |= changed
    path.write_text(yaml.safe_dump(document))


def file_of(world: World) -> Path:
    return Path(world.environment["HOME"]) / ".kube" / "gpuprov" / f"{GPUS}.kubeconfig"


def exceed(world: World) -> None:
    """Award more of another supplier's pool than there is."""
    path = world.root / "examples" / "awards-2026-h1.csv"
    row = "HPC-2026-9-{:03d},새연구소,대학,책임자,a@example.org,2,40,KT클라우드,H200,40,2026-01-01,2026-06-30,선정,"
    rows = [row.format(number) for number in range(12)]
    path.write_text("\n".join([path.read_text(encoding="utf-8-sig").rstrip(), *rows, ""]), encoding="utf-8-sig")


def test_the_credential_goes_to_a_folder_of_its_own_outside_of_the_project(world: World, clusters: Clusters) -> None:
    ran = world.run("kubeconfig", STUDIO, "--json")
    assert ran.code == 0, ran
    path = file_of(world)
    assert ran.data["file"] == str(path)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert list(world.root.rglob("*.kubeconfig")) == []
    page = path.with_suffix(".md")
    assert (ran.data["page"], page.read_text(encoding="utf-8").splitlines()[0]) == (str(page), f"# {STUDIO}: 8 H100")
    again = world.run("kubeconfig", STUDIO)
    assert (again.code, "already exists" in again.err) == (1, True)
    assert len(clusters.asked) == 1


def test_a_file_that_git_would_add_is_refused_before_a_token_is_made(world: World, clusters: Clusters) -> None:
    subprocess.run(["git", "init", "-q", str(world.root)], check=True)
    ran = world.run("kubeconfig", STUDIO, "--out", "studio")
    assert (ran.code, "git work tree" in ran.err, clusters.asked) == (1, True, [])
    assert world.run("kubeconfig", STUDIO, "--out", "studio", "--force").code == 0


def test_an_excess_at_another_supplier_keeps_no_awardee_out(world: World, clusters: Clusters) -> None:
    exceed(world)
    assert world.run("validate").code == 4
    ran = world.run("kubeconfig", STUDIO)
    assert ran.code == 0, ran


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [
        ("2026-06-30T22:00:00+09:00", 2 * 3600),
        ("2026-06-30T23:50:00+09:00", 600),
        ("2026-06-30T23:50:01+09:00", None),
        (JULY, None),
    ],
)
def test_the_servers_clock_says_how_long_an_award_still_has(
    world: World, clusters: Clusters, clock: str, seconds: int | None
) -> None:
    """This machine's clock is at another time altogether."""
    clusters.clock = datetime.fromisoformat(clock)
    ran = world.run("kubeconfig", STUDIO, "--json", at=NOW)
    assert clusters.asked == ([] if seconds is None else [seconds]), ran
    if seconds is None:
        assert ran.code == 1
        assert not file_of(world).exists()
    else:
        assert ran.data["expires"] == JULY


def test_a_rehearsal_at_another_time_lives_as_long_as_it_would_then(world: World, clusters: Clusters) -> None:
    """The award has ended by every clock; the instant asked for is in the middle of it."""
    clusters.clock = datetime(2026, 11, 24, 9, tzinfo=UTC)
    ran = world.run("kubeconfig", STUDIO, at="2026-06-30T12:00:00+09:00")
    assert (ran.code, clusters.asked) == (0, [12 * 3600]), ran


def test_time_that_goes_by_before_the_token_is_made_is_taken_off(world: World, clusters: Clusters) -> None:
    clusters.clock = datetime.fromisoformat("2026-06-30T22:00:00+09:00")
    clusters.slow = timedelta(seconds=30)
    ran = world.run("kubeconfig", STUDIO, "--json", at=NOW)
    assert clusters.asked == [7200, 7170]
    assert ran.data["expires"] == JULY
    assert clusters.have_accounts() == {"samsung-sds"}


@pytest.mark.parametrize("options", [(), ("--hours", "2")])
def test_a_token_that_would_outlive_the_award_is_revoked(
    world: World, clusters: Clusters, options: tuple[str, ...]
) -> None:
    clusters.longer = 3600
    ran = world.run("kubeconfig", STUDIO, *options, "--json", at=NOW)
    assert (ran.code, ran.data["error"]) == (5, "ClusterError")
    assert "3600 s longer than the award lets it live; every token of the award was revoked" in ran.err
    assert clusters.have_accounts() == set()
    assert not file_of(world).exists()


def test_a_server_that_shortens_tokens_is_believed(world: World, clusters: Clusters) -> None:
    clusters.longer = -3600
    ran = world.run("kubeconfig", STUDIO, "--hours", "3", "--json", at=NOW)
    assert (ran.code, ran.data["expires"]) == (0, "2026-03-01T11:00:00+09:00")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, f"has no namespace {GPUS} at samsung-sds; run `gpuprov up` first"),
        ({"labels": {}}, f"has no namespace {GPUS} at samsung-sds"),
        (
            {"deletionTimestamp": "2026-03-01T00:00:00Z"},
            f"is being taken back: namespace {GPUS} at samsung-sds is term",
        ),
    ],
)
def test_an_award_without_a_namespace_that_lives_gets_no_credential(
    world: World, clusters: Clusters, metadata: dict[str, Any] | None, says: str
) -> None:
    clusters.objects.clear()
    if metadata is not None:
        clusters.tenant("samsung-sds", STUDIO, **metadata)
    ran = world.run("kubeconfig", STUDIO, "--json")
    assert (ran.code, ran.data["error"], clusters.asked) == (1, "InputError", [])
    assert f"'{STUDIO}': {says}" in ran.err
    assert not file_of(world).exists()


def test_an_award_that_holds_nothing_is_told_without_asking_a_cluster(world: World) -> None:
    ran = world.run("kubeconfig", STUDIO, at=JULY)
    assert (ran.code, "has no GPUs (term ended at 2026-07-01T00:00+09:00)" in ran.err) == (1, True)


def test_a_revocation_says_where_and_until_when_tokens_are_taken(world: World, clusters: Clusters) -> None:
    ran = world.run("kubeconfig", STUDIO, "--revoke", "--json")
    assert ran.code == 0, ran
    assert ran.data == {
        "award": STUDIO,
        "revoked": [{"provider": "samsung-sds", "namespace": GPUS}],
        "ends_within_seconds": 10,
        "failed": {},
    }
    assert f"every token of {STUDIO} ends within about 10 s" in ran.err
    assert clusters.have_accounts() == set()
    again = world.run("kubeconfig", STUDIO, "--revoke")
    assert (again.code, "there was none" in again.out) == (0, True)


@pytest.mark.parametrize("at", [MARCH, JULY, NOW])
def test_a_revocation_asks_neither_for_capacity_nor_for_the_term(world: World, clusters: Clusters, at: str) -> None:
    exceed(world)
    ran = world.run("kubeconfig", STUDIO, "--revoke", "--json", at=at)
    assert (ran.code, clusters.have_accounts()) == (0, set()), ran


def test_a_revocation_does_not_need_a_list_that_can_be_read(world: World, clusters: Clusters) -> None:
    (world.root / "examples" / "awards-2026-h1.csv").write_text("nothing of use\n")
    ran = world.run("kubeconfig", STUDIO, "--revoke", "--json")
    assert (ran.code, clusters.have_accounts()) == (0, set()), ran
    ran = world.run("kubeconfig", OTHER, "--revoke")
    assert (ran.code, "the award lists cannot be read; check the id; run `gpuprov validate`" in ran.err) == (1, True)


def test_an_award_that_moved_or_left_the_list_is_revoked_wherever_it_is(world: World, clusters: Clusters) -> None:
    for award in (STUDIO, "OLD-1"):
        for provider in PROVIDERS:
            clusters.tenant(provider, award)
        ran = world.run("kubeconfig", award, "--revoke", "--json")
        assert [revocation["provider"] for revocation in ran.data["revoked"]] == list(PROVIDERS)
        assert clusters.have_accounts() == set()


def test_a_namespace_that_lost_its_labels_is_known_by_its_annotation(world: World, clusters: Clusters) -> None:
    clusters.objects.clear()
    clusters.tenant("kt-cloud", STUDIO, labels=None, annotations={"gpuprov.dev/award-id": STUDIO})
    clusters.tenant("samsung-sds", STUDIO, labels={"app": "of somebody else"})
    ran = world.run("kubeconfig", STUDIO, "--revoke", "--json")
    assert [revocation["provider"] for revocation in ran.data["revoked"]] == ["kt-cloud"]
    assert clusters.have_accounts() == {"samsung-sds"}


def test_an_award_of_the_list_that_is_nowhere_has_no_token_to_revoke(world: World, clusters: Clusters) -> None:
    ran = world.run("kubeconfig", OTHER, "--revoke", "--json")
    assert (ran.code, ran.data["revoked"]) == (0, [])
    assert f"no cluster that answered has a namespace of {OTHER}" in ran.err


def test_an_award_that_nobody_knows_is_an_error_with_suggestions(world: World, clusters: Clusters) -> None:
    ran = world.run("kubeconfig", "hpc-2026-1-003", "--revoke", "--json")
    assert (ran.code, ran.data["error"]) == (1, "InputError")
    assert "'hpc-2026-1-003': is in no award list" in ran.err
    assert STUDIO in ran.err.split("did you mean ")[1]
    assert clusters.have_accounts() == {"samsung-sds"}


@pytest.mark.parametrize("award", [STUDIO, "OLD-1"])
def test_a_cluster_that_does_not_answer_is_named_and_the_others_are_done(
    world: World, clusters: Clusters, award: str
) -> None:
    edit_cluster(world, "kt-cloud", server=f"https://127.0.0.1:{unused_port()}")
    ran = world.run("kubeconfig", award, "--revoke", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert [revocation["provider"] for revocation in ran.data["revoked"]] == (
        ["samsung-sds"] if award == STUDIO else []
    )
    assert "not revoked: kt-cloud: the API server of context 'kt-cloud' does not answer" in ran.err
    assert ("is in no award list" in ran.err) == (award == "OLD-1")


def test_an_account_that_stays_is_not_called_revoked(world: World, clusters: Clusters) -> None:
    clusters.kept.add("samsung-sds")
    clusters.objects[f"samsung-sds/{GPUS}/{ACCOUNT}"]["metadata"]["finalizers"] = ["example.org/keep"]
    ran = world.run("kubeconfig", STUDIO, "--revoke", "--json")
    assert (ran.code, ran.data["revoked"]) == (5, [])
    assert "is still there, held by example.org/keep" in ran.data["failed"]["samsung-sds"]


def test_a_revocation_writes_no_file_and_takes_no_option_about_one(world: World, clusters: Clusters) -> None:
    for options in (("--out", "x"), ("--hours", "1")):
        ran = world.run("kubeconfig", STUDIO, "--revoke", *options)
        assert (ran.code, "--revoke takes neither --out nor --hours" in ran.err) == (2, True)


def test_the_namespaces_here_carry_the_labels_that_gpuprov_writes(world: World) -> None:
    project = open_project(world.root)
    desired = load(project).desired(datetime.fromisoformat(MARCH))
    (tenant,) = [wanted for wanted in desired.tenants if wanted.award_id == STUDIO]
    made = Clusters()
    made.tenant(tenant.provider, STUDIO)
    assert made.objects[f"{tenant.provider}/{GPUS}"]["metadata"]["labels"].items() <= labels(tenant).items()
