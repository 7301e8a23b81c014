"""What to move between a local store and a remote, and moving it so that nothing is lost."""
