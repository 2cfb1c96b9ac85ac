"""Graphs: a network becomes a graph from planes to planes, is converted for a device, proved and kept.

Knows no backend: `runtime` says what it asks of one, and `inference` provides it. Opens no video.
"""
