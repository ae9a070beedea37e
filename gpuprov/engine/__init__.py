"""Pulumi: its program, its stacks and their state. Imports nothing, so that reading outputs never loads its SDK."""
