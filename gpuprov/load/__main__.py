"""Prints the JSON schemas that docs keeps.

``python -m gpuprov.load > docs/award-list.schema.json`` prints the award list's, and
``python -m gpuprov.load programme > docs/programme.schema.json`` the programme file's.
"""

import sys

from gpuprov.load import programme, schema

if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked not in ([], ["programme"]):
        sys.exit("usage: python -m gpuprov.load [programme]")
    sys.stdout.write(programme.schema_text() if asked else schema.schema_text())
