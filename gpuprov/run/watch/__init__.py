"""The service that carries out by itself what has become due: terms that end, and what list and ledger change."""
