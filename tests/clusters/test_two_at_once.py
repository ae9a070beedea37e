"""Two operators at once on a real cluster: a few rounds of what `two_at_once.py` plays for hours."""

import random

import pytest
from two_at_once import arena

pytestmark = pytest.mark.sandbox


def test_two_operators_at_once_do_no_harm_and_whoever_is_left_finishes(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    with arena(tmp_path, seed) as made:
        for _ in range(3):
            try:
                print(made.play())
            except AssertionError as error:
                raise AssertionError(f"seed {seed}\n{error}") from None
