"""Arithmetic on the planes of frames: layouts, pixel formats, colours, resampling. Opens no file, runs no network."""
