"""Decodes frames as the network sees them, and encodes them. Files are opened in `demux` and joined in `streams`."""
