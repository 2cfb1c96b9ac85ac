"""Release: what jobs tell of two versions of a model, and the rule that takes a worse one back. Runs no model."""
