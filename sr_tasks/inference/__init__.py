"""Inference: the backends that run prepared models, and the loop that feeds them. Judges no quality."""
