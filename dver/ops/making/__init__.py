"""Runs, their records, pipelines, lineage, and making things again."""
