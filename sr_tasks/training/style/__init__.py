"""Fast stylisation: a filter of our own, and a small network that learns to do as it does."""
