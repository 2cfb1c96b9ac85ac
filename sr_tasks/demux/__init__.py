"""Opens source files, reads their packets and says when each frame is shown. Decoded pictures are work for `media`."""
