"""Reads award lists as operators have them (CSV, XLSX, JSON) and reports every problem of every file at once.

Imports nothing itself: most processes need the small modules only.
"""
