"""Whole-command benchmarks of dver beside cp, tar, git, rclone and DVC, in one run."""
