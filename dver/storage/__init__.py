"""The few raw verbs that a store needs of a place: a directory, a bucket, any URL, memory."""
