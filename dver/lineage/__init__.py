"""Lineage: what made what, recorded so that it can be asked for and made again."""
