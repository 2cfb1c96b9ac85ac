"""What a media file is: facts that the probe reads, and what is planned for them. Opens nothing."""

from fractions import Fraction
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from sr_tasks.records.pictures import PictureFacts

Chroma = Literal["420", "422", "444", "gray"]

Deinterlace = Literal["none", "single", "double", "film"]


class ClockPart(BaseModel):
    """A part of a source that has its own clock, such as one of several joined recordings."""

    model_config = ConfigDict(frozen=True)

    first_s: float
    """Decoding time of its first picture, as the file says it, in seconds."""
    last_s: float
    shift: str
    """Seconds, as a fraction, that are added to all times of all streams in this part."""


class ReadOptions(BaseModel):
    """What a request says about reading its source."""

    model_config = ConfigDict(frozen=True)

    fps: str | None = None
    """Frames a second of a source without times. None: as its headers say, else 25."""
    program: int | None = None
    """Number of the programme to read. None: the first with a picture."""


AS_IT_SAYS = ReadOptions()


class PicturePlan(BaseModel):
    """How the pictures that a network sees are made from the source file. Whoever decodes a source follows it, so that
    the frames that are enlarged and the frames that the output is compared with are the same."""

    model_config = ConfigDict(frozen=True)

    stream: int | None = None
    """Index of the picture stream. None: the first that is no cover."""
    frame_rate: str = ""
    """Frames a second of a source without times, as a fraction. Empty: the source has times of its own."""
    program: int | None = None
    """Number of the programme whose streams are read. None: the first, or the file has no programmes."""
    timeline: Literal["packets", "table"] = "packets"
    """Where the time stamps of frames come from: packets, where each holds one frame and the times ascend, else a table
    that was made by decoding the source once."""
    table: str = ""
    """Path of that table."""
    clock: tuple[ClockPart, ...] = ()
    """Parts of a source whose times jump. Empty: they do not."""
    deinterlace: Deinterlace = "none"
    """`single`: one frame a frame; `double`: one frame a field; `film`: telecine undone."""
    field_order: Literal["", "tff", "bff"] = ""
    """Which field of a frame comes first. Empty: as each frame is flagged."""
    trust_flags: bool = False
    """Whether a frame that is flagged interlaced is deinterlaced unless it is whole beyond doubt. Without it, only a
    frame that combs is."""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Px cut off at the left, top, right and bottom of the decoded frame."""
    pix_fmt: str = ""
    """FFmpeg pixel format that decoded frames are converted to before the network. Empty: they stay as they are."""
    size: tuple[int, int] | None = None
    """Width and height, after the crop, that frames of other sizes are fitted into, their shape kept, between black
    bars. None: frames keep their size. Only with a `pix_fmt`."""
    chroma_location: int = 0
    """AVChromaLocation of the source's pictures, for where chroma is resampled to reach `pix_fmt`."""
    is_rgb: bool = False
    """Whether the source's pictures are RGB, so that `pix_fmt` holds them by the matrix of BT.709, of full range unless
    `color_range` says otherwise."""
    color_range: int = 0
    """AVColorRange that pictures of full range are brought to. 0: they keep theirs. Only with a `pix_fmt`."""
    filters: str = ""
    """A chain of FFmpeg's filters that restore what was converted, each frame by itself. Empty: none."""


UNTOUCHED: Final = PicturePlan()
"""Every frame as it is decoded."""


class Repair(BaseModel):
    """Something in the source that was wrong or unusual, and what was done about it: a row of manifest and report."""

    model_config = ConfigDict(frozen=True)

    kind: str
    """A word for programs, such as `equal-stamps`."""
    count: int
    """How many frames, packets or places it was done to."""
    what: str
    """In a sentence, for people."""


class ViewInfo(BaseModel):
    """How players show pictures that are no flat ones for both eyes: 360 degrees, stereo 3D."""

    model_config = ConfigDict(frozen=True)

    projection: Literal["flat", "equirectangular", "cubemap", "tiled equirectangular"] = "flat"
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    """Degrees that the sphere is turned by."""
    bounds: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of a tile: the parts of the whole picture left of it, above, right of it and below, in 2**-32."""
    padding_px: int = 0
    """Around each face of a cube."""
    stereo: Literal["mono", "side by side", "top and bottom", "frame sequence"] = "mono"
    is_right_first: bool = False
    """Whether the first picture of two is that of the right eye."""


FLAT: Final = ViewInfo()


class VideoInfo(BaseModel):
    """The picture as the network sees it, after `PicturePlan`.

    Colour tags are FFmpeg's numbers (AVColorRange and its like), 2 or 0 if unspecified.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    codec: str
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: Chroma
    has_alpha: bool = False
    source_pix_fmt: str = ""
    """What FFmpeg decodes the stream to."""
    pixel_notes: tuple[str, ...] = ()
    """In sentences, what the way from `source_pix_fmt` to `pix_fmt` changes."""
    color_range: int
    color_primaries: int
    color_trc: int
    colorspace: int
    chroma_location: int
    """AVChromaLocation: 0 unspecified (taken as left), 1 left, 2 centre, 3 top-left."""
    view: ViewInfo = FLAT
    sample_aspect_ratio: str
    rotation: int
    """Degrees a player turns the picture, from the display matrix."""
    interlaced: bool
    time_base: str
    average_rate: str
    is_vfr: bool
    frames: int
    """Counted by demuxing."""
    start_pts: int
    end_pts: int
    """Time stamp right behind the last frame."""
    keyframes: int
    pts_sha256: str
    """Over the sorted time stamps as little-endian int64."""

    @property
    def tick(self) -> Fraction:
        """Seconds of one time-base unit."""
        return Fraction(self.time_base)

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - self.start_pts) * self.tick)


class StreamInfo(BaseModel):
    """Any stream: what the stream table of the report shows."""

    model_config = ConfigDict(frozen=True)

    index: int
    type: str
    codec: str
    language: str
    title: str
    disposition: int
    packets: int
    size_bytes: int = 0
    """Of its packets."""
    start_s: float | None
    """Time stamp of the first packet, in seconds."""


class MediaInfo(BaseModel):
    """A file: its picture stream and all streams."""

    model_config = ConfigDict(frozen=True)

    path: str
    format: str
    size_bytes: int
    duration_s: float
    video: VideoInfo
    streams: tuple[StreamInfo, ...]
    chapters: int
    metadata: dict[str, str]
    picture: PicturePlan = UNTOUCHED
    repairs: tuple[Repair, ...] = ()
    still: PictureFacts | None = None
    """Of a still picture; None for a video. `video` then is its one frame as the network sees it."""


class HdrInfo(BaseModel):
    """Static HDR metadata of a stream, as FFmpeg's structs hold it."""

    model_config = ConfigDict(frozen=True)

    mastering_display: bytes = b""
    content_light_level: bytes = b""


NO_HDR: Final = HdrInfo()


class Chunk(BaseModel):
    """Frames with `start_pts <= pts < end_pts`, in the source's time base."""

    model_config = ConfigDict(frozen=True)

    index: int
    start_pts: int
    end_pts: int
    frames: int
    pts_sha256: str
    """Over the chunk's sorted time stamps, as in VideoInfo."""
    seek_pts: int | None
    """Keyframe to start decoding at: one before the chunk's own, so that open GOPs find their references.
    None: from the start of the file."""


class StreamPlan(BaseModel):
    """What becomes of one source stream: a row of the stream table."""

    model_config = ConfigDict(frozen=True)

    source_index: int | None
    """None for something that is no stream in the source, such as chapters."""
    output_index: int | None
    """None if the output has no stream for it."""
    type: str
    codec: str
    language: str
    fate: Literal["enhanced", "kept", "converted", "dropped"]
    target: str = ""
    """FFmpeg's encoder that it is converted with. Empty: it is not encoded anew."""
    bit_rate: int = 0
    """Bits a second that it is encoded with. 0: the encoder's usual."""
    is_asked: bool = False
    """Whether the job asked for that, so that it is no loss."""
    reason: str = ""
