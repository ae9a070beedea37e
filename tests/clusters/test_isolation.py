"""Each way around the quota or the isolation, tried by a tenant with its own token, with and without the chart.

`isolation.catalogue` has the attempts, and says of each who refuses it in which setting.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from isolation import record
from isolation.answers import Outcome
from isolation.attempt import BARE, BARE_ADMIN, CHART, CHART_ADMIN, Attempt
from isolation.catalogue import AREAS, ATTEMPTS
from isolation.lab import as_suppliers_run_it, make, specification
from isolation.tenant import Awardee, await_policies, make_victim, settle
from isolation.wait import until
from sandbox_fixtures import programs, while_up

from gpuprov.core import welcome
from gpuprov.core.manifests import TERM_END, WELCOME, quota_hard
from gpuprov.sandbox import Sandbox, controlplane

pytestmark = pytest.mark.sandbox

Settings = dict[str, Awardee]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two clusters that differ in the chart's admission policies; on each two awardees that differ in their role."""
    clusters = (CHART, BARE)
    sandbox = Sandbox(tmp_path_factory.mktemp("isolation") / "root", programs(), tuple(map(specification, clusters)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controlplane, "api_server", as_suppliers_run_it)
        patch.setenv("KUBECONFIG", str(sandbox.kubeconfig))
        with while_up(sandbox):
            made: Settings = {}
            for name, widened in ((CHART, CHART_ADMIN), (BARE, BARE_ADMIN)):
                lab = make(sandbox, name, policies=name == CHART)
                victim = make_victim(lab)
                made[name] = settle(lab, lab.tenant("ISO-1"), victim)
                made[widened] = settle(lab, lab.tenant("ISO-2"), victim, mistake=True)
            await_policies(made[CHART])
            yield made


def tried(attempt: Attempt, awardee: Awardee) -> Outcome:
    try:
        return attempt.act(awardee)
    finally:
        awardee.clean()


@pytest.mark.parametrize("file", [welcome.POD, welcome.JOB])
def test_what_the_page_gives_an_awardee_runs_as_it_stands(settings: Settings, file: str) -> None:
    awardee = settings[CHART]
    page = awardee.api.read(f"{awardee.core}/configmaps/{WELCOME}")["data"]
    body = yaml.safe_load(page[file])
    path = f"{awardee.core}/pods" if body["kind"] == "Pod" else f"{awardee.group('batch/v1')}/jobs"
    try:
        awardee.api.must(awardee.post(path, body))
        until(lambda: [pod for pod in awardee.pods() if pod["spec"].get("nodeName") and pod["status"]["phase"] in RAN])
        used = awardee.api.read(f"{awardee.core}/resourcequotas/gpu")["status"]["used"]
        assert used["requests.nvidia.com/gpu"] in ("0", "1")
    finally:
        awardee.clean()


RAN = ("Running", "Succeeded")


def test_an_awardee_can_read_what_it_has_and_until_when(settings: Settings) -> None:
    awardee = settings[CHART]
    annotations = awardee.api.read(awardee.core)["metadata"]["annotations"]
    page = awardee.api.read(f"{awardee.core}/configmaps/{WELCOME}")["data"]["README.md"]
    assert annotations[TERM_END] == awardee.tenant.term_end.isoformat()
    assert awardee.tenant.term_end.isoformat(sep=" ", timespec="minutes") in page
    hard = awardee.api.read(f"{awardee.core}/resourcequotas/gpu")["spec"]["hard"]
    assert hard == quota_hard(awardee.tenant)
    for path in ("/api/v1/namespaces", "/api/v1/namespaces/kube-system", f"/api/v1/namespaces/{awardee.victim}"):
        assert awardee.api.request("GET", path).status == 403, path


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Outcome]]:
    """What came of each attempt so far."""
    return {}


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_ends_as_the_catalogue_says(
    settings: Settings, answers: dict[str, dict[str, Outcome]], attempt: Attempt
) -> None:
    with ThreadPoolExecutor(len(settings)) as pool:
        outcomes = dict(
            zip(settings, pool.map(lambda setting: tried(attempt, setting), settings.values()), strict=True)
        )
    answers[attempt.name] = outcomes
    assert {name: outcome.by for name, outcome in outcomes.items()} == attempt.expected


def test_the_answers_are_those_on_record(answers: dict[str, dict[str, Outcome]]) -> None:
    if len(answers) < len(ATTEMPTS):
        pytest.skip("only some of the attempts were selected")
    record.check(
        "attempts", [record.row(area, attempt, answers[attempt.name]) for area in AREAS for attempt in AREAS[area]]
    )
