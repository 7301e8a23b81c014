"""Objects over packs and segments: writing, finding, reading, and verifying them."""
