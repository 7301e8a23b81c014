"""Plain data at a URL, as people publish it: files that no store of dver made. Reading only."""
