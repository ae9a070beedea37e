"""What one process tells another keeps what its messages are made of; for machines it is plain English."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuprov import i18n
from gpuprov.core.plan import Op
from gpuprov.i18n import joined, packed, shown, tr, trn, unpacked
from gpuprov.run.job import Outcome
from gpuprov.run.told import BETWEEN_PROCESSES

REASON = tr("{award} is not reclaimed: {reason}", award="HPC-1", reason=tr("its deletion has not ended yet"))
TEXTS = st.recursive(
    st.text() | st.integers() | st.just(REASON) | st.just(Op.RECLAIM),
    lambda inner: (
        st.builds(
            lambda some: joined("; ", [part if isinstance(part, str) else str(part) for part in some]), st.lists(inner)
        )
        | st.builds(lambda value, text: tr("{value} and {text!r}", value=value, text=text), inner, st.text())
        | st.builds(lambda number: trn("{number} award", "{number} awards", number), st.integers(0, 3))
    ),
)


@pytest.fixture
def _korean() -> Iterator[None]:
    i18n.use("ko")
    yield
    i18n.use("en")


@given(TEXTS)
def test_what_is_packed_is_the_same_message_again(text: object) -> None:
    again = unpacked(json.loads(json.dumps(packed(text))))
    assert again == text
    i18n.use("ko")
    try:
        assert shown(again) == shown(text)
    finally:
        i18n.use("en")


@pytest.mark.usefixtures("_korean")
def test_an_outcome_is_shown_in_the_language_of_the_parent() -> None:
    made = Outcome(provider="kt-cloud", stuck={"HPC-1": REASON}, error=joined("\n", [REASON, "what Pulumi says"]))
    read = Outcome.model_validate(json.loads(json.dumps(made.model_dump(mode="json", context=BETWEEN_PROCESSES))))
    assert read == made
    assert shown(read.stuck["HPC-1"]) == shown(REASON) != REASON
    assert shown(read.error) == f"{shown(REASON)}\nwhat Pulumi says"


def test_for_machines_an_outcome_has_sentences() -> None:
    made = Outcome(provider="kt-cloud", stuck={"HPC-1": REASON}, stale=REASON)
    data = made.model_dump(mode="json")
    assert (data["stuck"], data["stale"], data["error"]) == ({"HPC-1": str(REASON)}, str(REASON), None)
    assert Outcome.model_validate(data) == made
