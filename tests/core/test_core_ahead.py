"""What a change of lists and ledger does later."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gpuprov.core.ahead import ahead
from gpuprov.core.ledger import Allocation

NOW = datetime.fromisoformat("2026-03-01T00:00:00+09:00")


def part(start: int, end: int, gpus: int, award: str = "A", model: str = "H100") -> Allocation:
    """Return what an award has from one day to another, counted from now."""
    days = timedelta(days=start), timedelta(days=end)
    return Allocation(
        award_id=award, provider="kt-cloud", model=model, gpus=gpus, start=NOW + days[0], end=NOW + days[1]
    )


def told(old: list[Allocation], new: list[Allocation]) -> list[tuple[int, str, str, int, int]]:
    return [((one.at - NOW).days, one.award_id, one.model, one.before, one.after) for one in ahead(old, new, NOW)]


def test_an_award_that_begins_later() -> None:
    assert told([], [part(30, 90, 8)]) == [(30, "A", "H100", 0, 8)]


def test_a_term_that_ends_sooner_or_later() -> None:
    assert told([part(-30, 90, 8)], [part(-30, 60, 8)]) == [(60, "A", "H100", 8, 0)]
    assert told([part(-30, 60, 8)], [part(-30, 90, 8)]) == [(60, "A", "H100", 0, 8)]


def test_a_reduction_that_takes_effect_later() -> None:
    assert told([part(-30, 90, 8)], [part(-30, 10, 8), part(10, 90, 4)]) == [(10, "A", "H100", 8, 4)]


def test_what_differs_now_is_the_plans() -> None:
    assert told([], [part(-30, 90, 8)]) == []
    assert told([part(-30, 90, 8)], []) == []
    assert told([part(-30, 90, 8)], [part(-30, 90, 8)]) == []


def test_another_model_later_is_a_loss_and_a_gain() -> None:
    later = [part(-30, 30, 8), part(30, 90, 32, model="A100")]
    assert told([part(-30, 90, 8)], later) == [(30, "A", "A100", 0, 32), (30, "A", "H100", 8, 0)]


PARTS = st.lists(
    st.builds(part, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3), st.sampled_from("AB")), max_size=4
)


@given(PARTS, PARTS)
def test_at_every_instant_the_last_difference_told_is_the_one_that_holds(
    old: list[Allocation], new: list[Allocation]
) -> None:
    def held(parts: list[Allocation], award: str, at: datetime) -> int:
        return sum(one.gpus for one in parts if one.award_id == award and one.start <= at < one.end)

    differences = ahead(old, new, NOW)
    for award in "AB":
        for day in range(1, 10):
            at = NOW + timedelta(days=day)
            here = held(old, award, at), held(new, award, at)
            begins = (held(old, award, at - timedelta(days=1)), held(new, award, at - timedelta(days=1))) != here
            expected = begins and here[0] != here[1]
            assert (
                here in [(one.before, one.after) for one in differences if one.award_id == award and one.at == at]
            ) == (expected)
