"""What is to become of an output's sound, as a job asks for it."""

import re
from dataclasses import dataclass
from typing import Final

SOUND_PATTERN: Final = r"^(copy|(aac|opus)( (3[2-9]|[4-9][0-9]|[1-4][0-9]{2}|50[0-9]|51[0-2])k)?)$"
_ENCODERS: Final = {"aac": "aac", "opus": "libopus"}


@dataclass(frozen=True, kw_only=True)
class SoundWish:
    """How sound is to be encoded. An empty `encoder`: it is copied where the container holds it."""

    codec: str = ""
    """FFmpeg's name of the codec."""
    stereo_bits: int = 0
    """Bits a second of two channels; others get as many for each. 0: the encoder's usual."""

    @classmethod
    def of(cls, text: str) -> "SoundWish":
        """`copy`, `aac` or `aac 192k`: what fits SOUND_PATTERN."""
        codec, _, rate = text.partition(" ")
        return COPY if codec == "copy" else cls(codec=codec, stereo_bits=int(re.sub("k$", "000", rate or "0")))

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder."""
        return _ENCODERS.get(self.codec, "")

    def bits_of(self, channels: int) -> int:
        """Bits a second of a stream of that many channels; 0 for the encoder's usual."""
        return self.stereo_bits * channels // 2


COPY: Final = SoundWish()
"""Sound stays as it is where the container holds it."""
