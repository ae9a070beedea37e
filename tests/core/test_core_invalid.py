"""What our validators say is still a message where it is shown, though pydantic makes a plain string of it."""

import pytest
from loan import changed
from pydantic import ValidationError
from strategies import TERMS

from gpuprov.core.cluster import GpuPool
from gpuprov.core.programme import Programme
from gpuprov.i18n import Message


def only(model, value, context=None):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value, context=context)
    (detail,) = caught.value.errors()
    assert isinstance(detail["ctx"]["message"], Message)
    assert detail["ctx"]["message"] == detail["msg"]
    return detail["ctx"]


def test_a_message_stays_one():
    told = only(GpuPool, {"model": "H100", "capacity": [{"gpus": 8}, {"gpus": 4}], "nodeLabel": {"a": "b"}}, TERMS)
    assert told["message"].startswith("a step after the first needs a `from`: write ")
    assert "remedy" not in told


def test_so_does_the_remedy():
    told = only(Programme, changed(("accelerators", 0, "perReference"), 2))
    assert isinstance(told["remedy"], Message)
    assert told == {"message": "B200 is the reference, so it counts 1", "remedy": "write 1"}
