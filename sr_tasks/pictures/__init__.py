"""Reads and writes still pictures: samples at their full depth, and what else is in the file."""
