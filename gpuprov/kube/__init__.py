"""Clusters: everything that asks a Kubernetes API server, and what its answers mean."""
