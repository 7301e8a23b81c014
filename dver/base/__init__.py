"""The vocabulary that every other layer shares: errors, oids, time, file writing, reporting."""
