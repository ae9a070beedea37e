"""Each way around the quota or the isolation, tried by a tenant with its own token, with and without the chart.

`isolation.catalogue` has the attempts, and says of each who refuses it in which setting.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from isolation import record
from isolation.answers import Outcome
from isolation.attempt import BARE, BARE_ADMIN, CHART, CHART_ADMIN, Attempt
from isolation.catalogue import AREAS, ATTEMPTS
from isolation.lab import as_suppliers_run_it, make, specification
from isolation.tenant import Awardee, await_policies, make_victim, settle
from sandbox_fixtures import programs, while_up

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
