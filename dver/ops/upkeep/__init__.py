"""Checking and repairing stores, and removing content from them."""
