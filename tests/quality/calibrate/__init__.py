"""Measures the gate's figures on generated clips of all kinds and sizes: what it refuses wrongly, what it catches."""
