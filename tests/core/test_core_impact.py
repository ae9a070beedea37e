"""What a change means for the awardee, and what a pool gives and gets back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuprov.core.impact import Effect, Part, by_pool, effect
from gpuprov.core.plan import Change, Loss, Op


def change(op: Op, before: int, after: int, loss: Loss | None = None) -> Change:
    return Change(
        op=op,
        provider="kt-cloud",
        award_id="A",
        organization="o",
        namespace="gpu-a",
        model="H200",
        before=before,
        after=after,
        used=0,
        reasons=("why",),
        loss=loss,
    )


@pytest.mark.parametrize(
    ("made", "means"),
    [
        (change(Op.CREATE, 0, 8), Effect.GAINS),
        (change(Op.UPDATE, 4, 8), Effect.GAINS),
        (change(Op.UPDATE, 8, 4), Effect.LOSES),
        (change(Op.UPDATE, 8, 8), Effect.CORRECTED),
        (change(Op.UPDATE, 8, 8, Loss.ACCESS), Effect.LOSES),
        (change(Op.RECLAIM, 8, 0), Effect.LOSES),
        (change(Op.RECLAIM, 0, 0), Effect.LOSES),
    ],
)
def test_what_a_change_means(made: Change, means: Effect) -> None:
    assert effect(made) is means


PARTS = st.builds(
    Part,
    effect=st.sampled_from(Effect),
    provider=st.sampled_from(["kt", "sds"]),
    model=st.sampled_from(["H100", "A100"]),
    before=st.integers(0, 64),
    after=st.integers(0, 64),
)


@given(st.lists(PARTS))
def test_totals_count_every_award_once_and_balance(parts: list[Part]) -> None:
    totals = by_pool(parts)
    assert sum(pool.gaining + pool.losing + pool.corrected for pool in totals.values()) == len(parts)
    for (provider, model), pool in totals.items():
        mine = [part for part in parts if (part.provider, part.model) == (provider, model)]
        assert pool.given - pool.freed == sum(part.after - part.before for part in mine)
        assert min(pool.given, pool.freed) >= 0
    assert list(totals) == sorted(totals)
