"""How dver talks: streams, colour, progress, tables, JSON. Nothing else knows a terminal."""
