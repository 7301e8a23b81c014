"""Remotes, and other repositories and places that data comes from."""
