"""Data that other tools version: reading what DVC and git-lfs keep, where they keep it."""
