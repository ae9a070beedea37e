"""The term guard: runs on a provider's cluster and ends awards by their written end, without list and state."""
