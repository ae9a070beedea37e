"""What is decided: pure functions and frozen values, with the standard library and pydantic only. No clock, no I/O."""
