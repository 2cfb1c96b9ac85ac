"""Intake: everything between a weight file somebody has and a network of the registry. Decides no routes."""
