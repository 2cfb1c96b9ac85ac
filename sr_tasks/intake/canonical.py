"""A network that was brought, in the form of the registry, and what is known of it. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """A network in the form of the registry: ONNX from float32 [1, C, H, W] to [1, C, scale * H, scale * W], 0..1."""

    data: bytes
    architecture: str
    scale: int
    channels: int
    fixed: tuple[int, int] | None
    """Rows and columns if it is for one size only."""
    multiple: int
    minimum: int
    is_global: bool
    supports_half: bool
    supports_bfloat16: bool
    parameters: int
    departure: float
    """Largest, from the network as it was brought; of values in 0..1."""
