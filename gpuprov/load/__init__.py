"""Reads award lists as operators have them (CSV, XLSX, JSON) and reports every problem of every file at once."""

from gpuprov.load.awards import LoadedList, Origin, load_awards
from gpuprov.load.mapping import ColumnMapping, load_mapping
from gpuprov.load.schema import json_schema

__all__ = ["ColumnMapping", "LoadedList", "Origin", "json_schema", "load_awards", "load_mapping"]
