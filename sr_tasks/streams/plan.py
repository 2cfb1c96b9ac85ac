"""Planning: what becomes of every stream of a source in the output's container."""

from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from sr_tasks.demux.described import code_tags, codec_name, own_layouts, streams_outside
from sr_tasks.demux.source import ATTACHED_PIC, open_source, translated
from sr_tasks.errors import ContainerMismatch
from sr_tasks.jobs.form import Strip
from sr_tasks.records import containers
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.containers import TARGETS, holds
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.records.sound import COPY, SoundWish
from sr_tasks.streams import tags
from sr_tasks.streams.trial import Trials

_CHAPTERS = "kept as chapters"
_TIME_CODE = "written anew from the time code tag of the video"


def plan_streams(
    path: Path, media: MediaInfo, suffix: str, codec: str, strip: Strip = "nothing", sound: SoundWish = COPY
) -> list[StreamPlan]:
    """Decide for every stream of a source whether an output of that suffix keeps, converts or drops it.

    Every stream that is kept or converted has been written to memory with the output's muxer, and read back. Raises
    ContainerMismatch if the container does not hold the picture's codec, or the sound that is asked for.
    """
    _fit_picture(codec, suffix)
    with open_source(path) as source, translated(path):
        return _Planner(source, media, suffix, strip, sound).rows()


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a still picture that belongs to the file as a whole."""
    return stream.type == "video" and bool(stream.disposition & ATTACHED_PIC)


def _fit_picture(codec: str, suffix: str) -> None:
    if not holds(suffix, codec):
        fitting = [name for name in TARGETS if holds(name, codec)]
        others = [name for name in CODECS if holds(suffix, name)]
        hint = f"Choose an output in {' or '.join(fitting)}"
        hint += f", or codec {' or '.join(others)}." if others else "."
        raise ContainerMismatch(f"A {suffix} file does not hold {codec} video.", hint=hint)


class _Planner:
    """Makes the rows of one source for one container."""

    def __init__(self, source: InputContainer, media: MediaInfo, suffix: str, strip: Strip, sound: SoundWish) -> None:
        self._sound = sound
        self._strip = strip
        self._source, self._video, self._suffix = source, media.video, suffix
        self._muxer = TARGETS[suffix]
        self._codes = code_tags(source)
        self._outside = streams_outside(source, media.video.index)
        self._own_layouts = own_layouts(source)
        self._packets = {stream.index: stream.packets for stream in media.streams}
        candidates = [stream for stream in source.streams if self._is_candidate(stream)]
        self._trials = Trials(source, candidates, self._muxer)

    def rows(self) -> list[StreamPlan]:
        """One for each stream and each track that the muxer makes, numbered as a reader of the output will number
        them: the streams in their order, then what the muxer makes itself, then covers and attachments."""
        rows = [self._row(stream) for stream in self._source.streams]
        made = [
            self._made(rows, _CHAPTERS, "chapters", self._has_chapter_track()),
            self._made(rows, _TIME_CODE, "time code", self._has_time_code_track()),
        ]
        rows += self._lost_tags()
        present = [place for place, row in enumerate(rows) if row.fate in ("enhanced", "kept") or row.target]
        behind = [place for place in present if self._is_behind(rows[place])]
        order = [place for place in present if place not in behind]
        order += [place for place in made if place is not None] + behind
        for number, place in enumerate(order):
            rows[place] = rows[place].model_copy(update={"output_index": number})
        return rows

    def _row(self, stream: Stream) -> StreamPlan:
        row = StreamPlan(
            source_index=stream.index,
            output_index=None,
            type=stream.type or "unknown",
            codec=codec_name(stream),
            language=stream.metadata.get("language", ""),
            fate="enhanced" if stream.index == self._video.index else "kept",
        )
        if row.fate == "enhanced":
            return row
        if made := self._comes_back_as(stream):
            return row.model_copy(update={"fate": "converted", "reason": made})
        if reason := self._obstacle(stream):
            return row.model_copy(update={"fate": "dropped", "reason": reason})
        if not self._is_candidate(stream):
            return row
        if isinstance(stream, AudioStream) and self._sound.encoder and not self._is_as_asked(row):
            return self._as_asked(stream, row)
        because = f"a {self._suffix} file holds no {row.codec}"
        if self._trials.takes_copy(stream):
            if containers.is_read_everywhere(self._muxer, row.codec) or stream.index in self._own_layouts:
                return row
            because = f"many players read {row.codec} in a {self._suffix} file wrongly"
        encoder = self._encoder(stream, row.codec)
        if encoder and self._trials.takes_converted(stream, encoder):
            loss = _loss(row.codec, encoder) if stream.type == "audio" else "with its times, lines and italics"
            return row.model_copy(
                update={"fate": "converted", "target": encoder, "reason": f"{because}; {loss}"},
            )
        if stream.index in self._own_layouts:
            because += "; its channels are in an order of their own, so that it cannot be converted"
        return row.model_copy(update={"fate": "dropped", "reason": because})

    def _is_as_asked(self, row: StreamPlan) -> bool:
        """Whether sound has the codec that is asked for already, and no bitrate is asked for."""
        return row.codec == self._sound.codec and not self._sound.stereo_bits

    def _as_asked(self, stream: AudioStream, row: StreamPlan) -> StreamPlan:
        """The row of sound that is to be encoded anew. Raises ContainerMismatch."""
        encoder, bit_rate = self._sound.encoder, self._sound.bits_of(stream.codec_context.layout.nb_channels)
        if stream.index in self._own_layouts or not self._trials.takes_converted(stream, encoder, bit_rate):
            raise ContainerMismatch(
                f"Stream {stream.index} ({row.codec}, {stream.codec_context.layout.name}) cannot be "
                f"{self._sound.codec} in a {self._suffix} file.",
                hint="Choose audio copy, or an .mkv output.",
            )
        rate = f" at {bit_rate // 1000} kb/s" if bit_rate else ""
        asked = {"target": encoder, "bit_rate": bit_rate, "is_asked": True, "reason": f"asked for{rate}"}
        return row.model_copy(update={"fate": "converted", **asked})

    def _comes_back_as(self, stream: Stream) -> str:
        """For a track that is not copied since the muxer writes it itself, what becomes of it."""
        code = self._codes.get(stream.index, "")
        if stream.type != "data" or (code == "tmcd" and self._strip == "all"):
            return ""
        if code == "tmcd" or "TimeCode" in stream.metadata.get("handler_name", ""):
            return _TIME_CODE
        return _CHAPTERS if code == "text" and self._source.chapters() else ""

    def _obstacle(self, stream: Stream) -> str:
        """Why a stream cannot be in the output, whatever is done to it. Empty: nothing is known against it."""
        code = self._codes.get(stream.index, "")
        if stream.index in self._outside:
            return "it belongs to another programme"
        if isinstance(stream, AttachmentStream):
            is_held = self._muxer in containers.ATTACHMENT_CONTAINERS
            return "" if is_held else f"a {self._suffix} file holds no attachments"
        if stream.codec_context is None and stream.type != "data":
            if codec_name(stream) != "unknown":
                return "FFmpeg has no decoder for it"
            return f"FFmpeg does not know its codec{f' ({code})' if code else ''}"
        if stream.disposition & Disposition.timed_thumbnails:
            return "thumbnails of the old picture"
        if self._strip != "nothing" and (stream.type == "data" or is_cover(stream)):
            return "it may tell place and device, which were to be removed"
        if is_cover(stream):
            held = containers.COVER_CODECS.get(self._muxer)
            fits = held is None or stream.codec_context.name in held
            if fits and self._muxer in containers.QUICKTIME and self._has_quicktime_keys():
                return f"a {self._suffix} file holds no cover beside QuickTime keys"
            return "" if fits else f"a {self._suffix} file holds no such covers"
        return "" if self._packets.get(stream.index) else "it holds nothing"

    def _has_quicktime_keys(self) -> bool:
        return tags.has_quicktime_keys(tags.carried(self._source.metadata, self._strip))

    def _is_candidate(self, stream: Stream) -> bool:
        """Whether the muxer has to be asked about a stream."""
        is_plain = stream.index != self._video.index and stream.type != "attachment" and not is_cover(stream)
        return is_plain and not self._comes_back_as(stream) and not self._obstacle(stream)

    def _encoder(self, stream: Stream, codec: str) -> str:
        """What a stream that does not fit is converted with. Empty: it cannot be converted."""
        if stream.index in self._own_layouts:
            return ""
        if isinstance(stream, AudioStream) and stream.codec_context.format is not None:
            return containers.sound_target(self._muxer, codec, stream.codec_context.format.name)
        if isinstance(stream, SubtitleStream) and stream.codec_context.codec.text_sub:
            return containers.TEXT_TARGETS[self._muxer]
        return ""

    def _has_chapter_track(self) -> bool:
        return bool(self._source.chapters()) and self._muxer in containers.QUICKTIME

    def _has_time_code_track(self) -> bool:
        time_code = tags.time_code(self._source, self._video.index)
        if not time_code or self._strip == "all" or self._video.is_vfr or self._muxer not in containers.QUICKTIME:
            return False
        return self._trials.takes_time_code(time_code, Fraction(self._video.average_rate))

    def _lost_tags(self) -> list[StreamPlan]:
        """A row for tags that the container has no place for."""
        if self._strip == "all":
            return []
        names = tags.not_written(tags.carried(self._source.metadata, self._strip), self._muxer)
        if not names:
            return []
        return [
            StreamPlan(
                source_index=None, output_index=None, type="tags", codec=", ".join(names), language="", fate="dropped",
                reason=f"a {self._suffix} file has no place for them",
            )
        ]  # fmt: skip

    def _is_behind(self, row: StreamPlan) -> bool:
        return row.source_index is not None and (
            row.type == "attachment" or is_cover(self._source.streams[row.source_index])
        )

    @staticmethod
    def _made(rows: list[StreamPlan], reason: str, what: str, has_track: bool) -> int | None:
        """The place of the row for a track that the muxer makes itself, added if no stream of the source is like it."""
        if not has_track:
            return None
        places = [place for place, row in enumerate(rows) if row.reason == reason]
        if not places:
            row = StreamPlan(
                source_index=None, output_index=None, type="data", codec=what, language="", fate="converted"
            )
            rows.append(row.model_copy(update={"reason": "the container has a track for them"}))
        return places[0] if places else len(rows) - 1


def _loss(codec: str, encoder: str) -> str:
    if containers.loses_nothing(codec, encoder):
        return "without loss"
    if containers.is_lossless(codec) and containers.is_lossless(encoder):
        return "rounded to 24 bits"
    return "without further loss" if containers.is_lossless(encoder) else "with a loss that nobody hears"
