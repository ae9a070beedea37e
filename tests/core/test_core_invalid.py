"""What our validators say reaches whoever shows it as a message."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError
from strategies import TERMS

from gpuprov.core.cluster import GpuPool
from gpuprov.core.invalid import message_of, remedy_of
from gpuprov.core.programme import Programme
from gpuprov.i18n import Message


def details(model, value, context=None):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value, context=context)
    return caught.value.errors()


def test_a_message_of_ours_stays_one_though_pydantic_copies_it():
    pool = {"model": "H100", "capacity": [{"gpus": 8}, {"gpus": 4}], "nodeLabel": {"a": "b"}}
    (detail,) = details(GpuPool, pool, TERMS)
    message = message_of(detail)
    assert isinstance(message, Message)
    assert message == detail["msg"]
    assert message.startswith("a step after the first needs a `from`: write ")
    assert remedy_of(detail) is None


def test_so_does_the_remedy():
    accelerator = {"name": "H100", "perReference": 2, "devicesPerServer": 8, "resource": "nvidia.com/gpu"}
    programme = {
        "name": "p",
        "timeZone": "Asia/Seoul",
        "end": "2026-07-01T00:00+09:00",
        "reference": "H100",
        "accelerators": [accelerator],
        "tracks": [{"name": "1", "least": 1}],
        "statuses": {"selected": ["선정"]},
    }
    (detail,) = details(Programme, programme)
    assert isinstance(message_of(detail), Message)
    assert isinstance(remedy_of(detail), Message)
    assert (message_of(detail), remedy_of(detail)) == ("H100 is the reference, so it counts 1", "write 1")


def test_what_pydantic_says_itself_is_passed_on():
    class Counted(BaseModel):
        number: Annotated[int, Field(ge=1)]

    (detail,) = details(Counted, {"number": 0})
    assert (message_of(detail), remedy_of(detail)) == (detail["msg"], None)
