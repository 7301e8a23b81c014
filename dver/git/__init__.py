"""Plumbing over the git executable: where we are, which pointers git knows, what it ignores."""
