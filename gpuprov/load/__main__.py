"""Prints the award list's JSON Schema: ``python -m gpuprov.load > docs/award-list.schema.json``."""

import sys

from gpuprov.load.schema import schema_text

if __name__ == "__main__":
    sys.stdout.write(schema_text())
