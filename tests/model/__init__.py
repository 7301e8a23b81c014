"""State machines of what several processes do at once, explored as a whole."""
