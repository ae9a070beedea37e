"""What all tests share: property tests may take their time, an interrupt is never ignored, the long tests go first, and
messages are in English whatever the locale, and as wide as they are without a terminal.
"""

import gc
import os
import signal
import weakref
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


# Also for the commands that tests start.
os.environ["GPUPROV_LANG"] = "en"
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it


@pytest.fixture
def rare_garbage() -> Iterator[Callable[[], weakref.ref[object]]]:
    """Garbage is not collected by itself, as in a command; makes an object that refers to itself, and lets go of it."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    yield lambda: weakref.ref(Cycle())
    gc.enable()


def pytest_configure() -> None:
    """A shell starts what it runs in the background with SIGINT ignored, and every child inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let the garbage collector look through no test again and again: a service has it run after each look."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that processes that share the tests end together."""
    items.sort(key=lambda item: item.get_closest_marker("sandbox") is None)
