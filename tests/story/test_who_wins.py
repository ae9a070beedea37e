"""Every row of the table "Who wins" in docs/architecture.md, for every situation that it speaks of."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from who_wins import ANSWERS, AT, AXES, HERE, IDS, THERE, Played, keys, rows, situations, with_events

from gpuprov.core import decisions
from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Op
from gpuprov.errors import InputError, PlanRefused
from gpuprov.run import byhand, intents, pipeline
from gpuprov.run.apply import make_jobs
from gpuprov.run.pipeline import PlanContext, refusals

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"
TABLE = rows(DOCUMENT.read_text(encoding="utf-8"))
BOTH = (HERE, THERE)
LATER = AT + timedelta(days=10)


@pytest.fixture(scope="module")
def played() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


# ---- the words of the table, from what the core says


def words(planned: PlanContext) -> str:
    """Say what a plan does: on the cluster where the awards live, and at another supplier; all awards alike."""
    found = []
    for provider, where in ((THERE, " there"), (HERE, "")):
        changes = planned.plan.on(provider)
        if not changes:
            continue
        assert {change.award_id for change in changes} == set(IDS)
        ((op, explained),) = {(change.op, change.expected) for change in changes}
        found.append({Op.RECLAIM: "take back"}.get(op, str(op)) + where + ("" if explained else ", counted"))
    return "; ".join(found) or ("keep" if planned.plan.unchanged else "nothing")


def plan_and_up(situation: Played) -> str:
    planned = situation.observe_and_plan(situation.loaded, situation.loaded.desired(AT), BOTH)
    wording = words(planned)
    refused = refusals(planned, Confirmed())
    assert ("counted" in wording) is bool(refused), (wording, refused)
    assert all("--allow-teardown 2" in reason for reason in refused)
    assert refusals(planned, Confirmed(teardown=len(IDS))) == []
    (sds_job, elsewhere) = make_jobs(planned, timeout=1.0)
    assert {job.award_id for job in sds_job.reclaim} == (set(IDS) if "take back" in wording else set())
    assert set(elsewhere.growing) == (set(IDS) if "create there" in wording else set())
    return wording


def carried_out(intent) -> str:
    """Say what the jobs of an intent do; nothing may be granted."""
    jobs = make_jobs(intent.planned, timeout=1.0, only=intent.only)
    assert [job.growing for job in jobs if job.growing] == []
    taken = {reclaim.award_id for job in jobs for reclaim in job.reclaim}
    assert taken in (set(), set(IDS))
    assert refusals(intent.planned, Confirmed()) == []
    return "take back" if taken else "nothing"


def expire(situation: Played, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(intents, "observe_and_plan", situation.observe_and_plan)
    return carried_out(intents.end_terms(situation.loaded, AT, BOTH))


def decided(situation: Played, at: datetime) -> decisions.Decision:
    return decisions.forfeit(
        situation.loaded.histories,
        IDS,
        at=at,
        by="kim",
        reason="as decided",
        recorded=AT,
        unlisted=situation.loaded.unlisted,
    )


def forfeit(situation: Played, patch: pytest.MonkeyPatch) -> str:
    try:
        decision = decided(situation, AT)
    except InputError:
        return "refused"
    patch.setattr(intents, "observe_and_plan", situation.observe_and_plan)
    patch.setattr(intents, "living", situation.living)
    done = carried_out(intents.record_and_apply(situation.loaded, decision, AT))
    assert len(decision.events) in (0, len(IDS))
    if not decision.events:
        return done
    return "record" if done == "nothing" else f"record; {done}"


def by_hand(situation: Played, patch: pytest.MonkeyPatch) -> str:
    """Say what `pulumi up` does on both stacks; what it declares it writes as the plan says."""
    patch.setattr(byhand, "load", lambda _: situation.loaded)
    patch.setattr(byhand, "observe_and_plan", situation.observe_and_plan)
    patch.setattr(byhand, "_instant", lambda _zone: AT)
    whole = situation.observe_and_plan(situation.loaded, situation.loaded.desired(AT), BOTH)
    found = []
    for stack, where in ((THERE, " there"), (HERE, "")):
        here = replace(whole, plan=replace(whole.plan.where(lambda change: change.provider == stack), unchanged=0))  # noqa: B023
        try:
            declared = byhand.decide(situation.loaded.project, stack)
        except PlanRefused:
            found.append("refused" + where)
            continue
        assert {tenant.award_id for tenant in declared.tenants} in (set(), set(IDS))
        if here.plan.changes:
            found.append(words(here))
        elif declared.tenants:
            found.append("keep" + where)
    return "; ".join(found) or "nothing"


# ---- the table


@pytest.mark.parametrize("number", range(len(TABLE)), ids=[row.text for row in TABLE])
def test_the_row_says_what_the_core_does(number: int, played: pytest.MonkeyPatch) -> None:
    """In every situation for which it is the first row that matches."""
    row = TABLE[number]
    mine = [key for key in keys() if row.matches(key) and not any(above.matches(key) for above in TABLE[:number])]
    assert mine, "rows above it say all that it says"
    wrong = set()
    for key in mine:
        for situation in situations(key):
            played.setattr(pipeline, "find", situation.find)
            does = (
                plan_and_up(situation),
                expire(situation, played),
                forfeit(situation, played),
                by_hand(situation, played),
            )
            wrong |= {
                f"{' | '.join(key)}: {command} does {done!r}, the table says {row.says[command]!r}"
                for command, done in zip(ANSWERS, does, strict=True)
                if done != row.says[command]
            }
    assert sorted(wrong) == []


def test_there_is_a_row_for_every_situation() -> None:
    assert [key for key in keys() if not any(row.matches(key) for row in TABLE)] == []


def test_every_word_of_the_answers_is_explained_below_the_table() -> None:
    _, _, section = DOCUMENT.read_text(encoding="utf-8").partition("## Who wins\n")
    explained = section.split("\n## ")[0]
    answers = {part.strip() for row in TABLE for says in row.says.values() for part in says.split(";")}
    assert [word for word in sorted(answers) if f"**{word.removesuffix(' there')}**" not in explained] == []


@pytest.mark.parametrize("in_list", AXES["list"])
def test_a_forfeiture_to_come_is_recorded_only(in_list: str, played: pytest.MonkeyPatch) -> None:
    """It neither gives nor takes before its time: at most the end that the cluster is promised is another."""
    for key in keys():
        if key[0] != in_list:
            continue
        for situation in situations(key):
            played.setattr(pipeline, "find", situation.find)
            try:
                decision = decided(situation, LATER)
            except InputError:
                continue
            before = situation.observe_and_plan(situation.loaded, situation.loaded.desired(AT), BOTH)
            after = with_events(situation.loaded, decision.events)
            then = situation.observe_and_plan(after, after.desired(AT), BOTH)
            assert moves(then) == moves(before), key


def moves(planned: PlanContext) -> list[tuple[object, ...]]:
    return [
        (change.provider, change.op, change.award_id, change.before, change.after, change.loss)
        for change in planned.plan.changes
        if change.op is not Op.UPDATE or change.before != change.after
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| selected | any | terminating |", "| selected | any | terminatng |"),
        ("| list | ledger |", "| ledger | list |"),
        ("| any | forfeited | nothing | any | any | nothing |", "| any | forfeited | nothing | any | nothing |"),
    ],
    ids=["an unknown word", "other columns", "a cell too few"],
)
def test_a_table_that_cannot_be_read_is_no_table(old: str, new: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(old) == 1
    with pytest.raises(ValueError, match=r"has no|another head|argument"):
        rows(text.replace(old, new))
