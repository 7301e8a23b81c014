"""One module per command: its options, one call of an operation, and how the result reads."""
