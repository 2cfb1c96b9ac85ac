"""What a rehearsal tried and found: data that `validate` leaves and the manifest shows. Opens nothing."""

from pydantic import BaseModel, ConfigDict

from sr_tasks.records.media import StreamPlan


class RehearsedPlace(BaseModel):
    """A few frames that went through the whole course."""

    model_config = ConfigDict(frozen=True)

    start_s: float
    frames: int


class Rehearsal(BaseModel):
    """A rehearsal that passed."""

    model_config = ConfigDict(frozen=True)

    places: tuple[RehearsedPlace, ...]
    is_whole: bool
    """Whether all frames of the source were among them."""
    preset: str
    """Of the encoder: the job's own, or the fastest where that is too slow to be tried."""
    streams_s: float | None
    """How many seconds of the other streams were joined; None for all of them."""
    fates: tuple[StreamPlan, ...]
    """The plan of streams, as the rehearsal left it."""
    least_picture_bytes: float | None = None
    """What the whole picture would take at the codec's lowest quality if it were like the places that were tried. None
    where no bitrate and no size is asked for."""
    changed: tuple[str, ...] = ()
    """What did not come out as planned and was planned otherwise, a sentence each."""

    key_bytes: float = 0.0
    """Of a keyframe of the picture, on average; 0 if it was not measured."""
    between_bytes: float = 0.0
    """Of any other frame; 0 for a codec whose frames are all keyframes."""
    stream_bytes: int = 0
    """Of the other streams, as far as they were joined."""

    def __str__(self) -> str:
        where = ", ".join(f"{place.frames} at {place.start_s:.1f} s" for place in self.places)
        streams = "all streams whole" if self.streams_s is None else f"{self.streams_s:g} s of all streams"
        planned = "; ".join(self.changed) or "as planned"
        return f"frames {where}, {streams}: {planned}"
