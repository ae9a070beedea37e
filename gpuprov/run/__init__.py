"""The pipeline, step by step: load -> desired -> observe -> plan -> guard -> reclaim -> up -> prove -> report."""
