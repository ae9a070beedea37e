"""Some rounds of what tests/robustness/fuzz.py plays by the ten thousand."""

import random

from fuzz import Fuzz


def test_whatever_becomes_of_a_file_it_is_valid_or_refused_with_what_to_do(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    fuzz = Fuzz(tmp_path / "project", seed)
    for number in range(150):
        try:
            fuzz.play(number)
        except Exception as error:
            raise AssertionError(f"--seed {seed} --only {number}") from error
