"""Data alone: what the steps of a job hand to each other. Loads neither a codec library nor a runtime."""
