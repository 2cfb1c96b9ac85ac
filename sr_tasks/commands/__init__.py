"""Verbs of the command line with verbs of their own. Each reads arguments, calls the rooms, and says what came out."""
