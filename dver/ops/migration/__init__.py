"""From DVC and git-lfs to dver."""
