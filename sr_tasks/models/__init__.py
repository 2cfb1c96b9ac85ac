"""Models: how one becomes a proved graph for a kind of frame. Knows no backend, opens no video."""
