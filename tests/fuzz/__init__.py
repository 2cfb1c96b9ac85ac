"""Damaged and malformed files through whole jobs: each comes out whole or is refused before any work."""
