"""Settings: which there are, where each value comes from, and changing them safely."""
