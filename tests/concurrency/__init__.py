"""Several processes at once, and what must be true whatever they do to each other."""
