"""Looking at any version of anything, without touching the workspace."""
