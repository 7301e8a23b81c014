"""What git calls: hooks, the merge driver, the diff driver, and settling what a merge left."""
