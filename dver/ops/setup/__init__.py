"""Setting dver up, and telling what is wrong with it."""
