"""What all tests share: property tests may take their time, an interrupt is never ignored, the long tests go first, and
messages are in English whatever the locale, and as wide as they are without a terminal.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


# Also for the commands that tests start.
os.environ["GPUPROV_LANG"] = "en"
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it


def pytest_configure() -> None:
    """A shell starts what it runs in the background with SIGINT ignored, and every child inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that processes that share the tests end together."""
    items.sort(key=lambda item: item.get_closest_marker("sandbox") is None)
