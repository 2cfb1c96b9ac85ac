"""ICC profiles: which one fits the samples, and CMYK through its own."""

import io
from typing import Final

from PIL import Image, ImageCms

_SPACE: Final = slice(16, 20)
"""Where a profile names the colours it is for."""


def fitting(icc: bytes, *, is_gray: bool) -> bytes:
    """The profile, or nothing if it is for samples of another kind, which no reader accepts."""
    wanted = (b"GRAY",) if is_gray else (b"RGB ", b"CMYK")
    return icc if icc[_SPACE] in wanted else b""


def to_srgb(image: Image.Image) -> tuple[Image.Image, bytes]:
    """A CMYK picture as RGB, and the profile of that. Without a usable profile by plain arithmetic."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    icc = image.info.get("icc_profile")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc)) if icc else None
        found = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") if source else None
    except ImageCms.PyCMSError:
        found = None
    return found if found is not None else image.convert("RGB"), srgb.tobytes()
