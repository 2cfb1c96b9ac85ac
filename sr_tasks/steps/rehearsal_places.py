"""The places of a rehearsal: a few frames that follow each other are enlarged, encoded, read back and compared."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import DiskFull, InputDamaged, InputRefused, OutOfMemory, RehearsalFailed, SrError
from sr_tasks.inference.loop import upscale_chunk
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.encode import ChunkWriter, prove_chunk
from sr_tasks.media.places import Place
from sr_tasks.media.probe import probe
from sr_tasks.planes.frames import planes_of
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.gate import faults
from sr_tasks.records.assessment import Assessment
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.media import Chunk, MediaInfo
from sr_tasks.records.sizes import Size
from sr_tasks.steps.resampler import Resampler, note
from sr_tasks.streams.assemble import ChunkFile, reorder_depth

_AS_THEY_ARE: Final = (InputRefused, InputDamaged, OutOfMemory, DiskFull)
_HELD_BYTES: Final = 256 << 20
_FILLING: Final = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
"""Codecs whose decoders in FFmpeg conceal damage by a rule, or give no frame."""
_OTHER_COPY: Final = "Check it in a media player; if it plays, convert it with another program first."
_MARGIN: Final = 2.5
"""The gate's limits are so much wider here: a few frames, encoded apart, tell less than a film."""
_WIDENED: Final = ("plane_shift_max", "block_shift_max", "color_error_max", "pixel_shift_max", "seam_max")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A place that was enlarged: its chunk files, and the time stamps that were repeated."""

    place: Place
    files: tuple[ChunkFile, ...]
    damaged_pts: frozenset[int]


@dataclass(kw_only=True)
class Trial:
    """What places are tried with. `limits` are the gate's, None where it is off."""

    spec: JobSpec
    source: SourceRecord
    encode: EncodeSettings
    limits: GateLimits | None
    scratch: Path
    settings: Settings

    @property
    def path(self) -> Path:
        return Path(self.source.local_path)

    @property
    def size(self) -> Size:
        """Of the output."""
        return self.encode.width, self.encode.height

    def made(self, place: Place) -> Made:
        """Decode, resample and encode a place, and read it back."""
        files: list[ChunkFile] = []
        damaged: list[int] = []
        for chunk in place.chunks:
            file = self.scratch / f"{chunk.start_pts}-{chunk.frames}.nut"
            with stage(f"enlarging {chunk.frames} frames", self.path):
                resampler = Resampler(self.source.media.video)
                report = upscale_chunk(
                    ChunkReader(path=self.path, chunk=chunk, picture=self.source.media.picture),
                    resampler,
                    ChunkWriter(file, self.encode, chunk.start_pts, chunk.frames),
                    streams=1,
                    on_frame=lambda done: None,
                )
                prove_chunk(file, self.encode.time_base, chunk.start_pts, chunk.frames, chunk.pts_sha256)
                self._refuse_chance(chunk, resampler.seen.hexdigest())
                depth = reorder_depth(file, self.encode.time_base)
            files.append(ChunkFile(path=file, start_pts=chunk.start_pts, reorder_depth=depth))
            damaged += report.damaged_pts
        return Made(place=place, files=tuple(files), damaged_pts=frozenset(damaged))

    def compare(self, made: Made) -> Assessment:
        """Decode the chunk of a place and compare it with its source. Raises RehearsalFailed."""
        frames = made.place.video.frames
        with stage(f"comparing {frames} frames", self.path):
            file = made.files[0].path
            found = self.assessed(made, file, probe(file))
            decode = found.decode
            if decode.output_errors or not decode.output_frames == decode.source_frames == frames:
                raise RehearsalFailed(
                    f"{decode.output_frames} of {frames} frames come out near {self._start_s(made):.1f} s of "
                    f"{self.path.name}.",
                    hint=_OTHER_COPY,
                )
        return found

    def judge(self, made: Made, found: Assessment) -> None:
        """Raises RehearsalFailed for what the gate would refuse and no network is to blame for.

        That holds with a plain resampling in the network's place: black, frozen and exchanged frames, shifts of
        brightness and colour, wrong matrices and ranges, displacement, seams. PSNR and SSIM are not judged: those are
        for the network to reach. Raises InputDamaged where a decoder gives chance pictures.
        """
        if self.limits is None:
            return
        wider = {name: _MARGIN * getattr(self.limits, name) for name in _WIDENED}
        if said := faults(found, self.limits.model_copy(update=wider)):
            for chunk in made.place.chunks:
                self._refuse_chance(chunk, self._decoded(chunk))
            raise RehearsalFailed(
                f"What comes out of {self.path.name} near {self._start_s(made):.1f} s is not what goes in. "
                f"{' '.join(said[:3])}",
                hint=_OTHER_COPY,
            )

    def media_of(self, made: Made) -> MediaInfo:
        """The source as if it held nothing but a place."""
        return self.source.media.model_copy(update={"video": made.place.video})

    def assessed(self, made: Made, output: Path, output_info: MediaInfo) -> Assessment:
        return assess(
            self.path, output, self.media_of(made), output_info, self.size, report_progress=lambda done: None,
            damaged_pts=made.damaged_pts, threads=1, places=made.place.chunks,
        )  # fmt: skip

    def _start_s(self, made: Made) -> float:
        video = made.place.video
        return float((video.start_pts - self.source.media.video.start_pts) * video.tick)

    def _refuse_chance(self, chunk: Chunk, seen: str) -> None:
        """Some decoders leave what is damaged as the memory happened to be: such frames are not the same twice.

        FFmpeg gives out new memory in zeros, and memory that was given back as it is. So frames that are held come out
        of zeros, and frames that are given back at once come out of those before them. How many `seen` ones were held
        is chance: it counts for decoders alone that fill what is damaged by a rule.
        """
        given_back = seen if self.source.media.video.codec in _FILLING else self._decoded(chunk)
        if self._decoded(chunk, _HELD_BYTES) != given_back:
            raise InputDamaged(
                f"Frames of {self.path.name} are damaged so that they are decoded differently each time.",
                hint="Find a better copy of the source, or convert it with another program first.",
            )

    def _decoded(self, chunk: Chunk, held_bytes: int = 0) -> str:
        digest = hashlib.sha256()
        reader = ChunkReader(path=self.path, chunk=chunk, picture=self.source.media.picture, held_bytes=held_bytes)
        for item in reader.frames():
            note(digest, planes_of(item.frame)[:3])  # alpha does not go through the session
        return digest.hexdigest()

    def refuse_damage(self, places: Sequence[Made]) -> None:
        """Raises InputDamaged if the places alone have more damage than the whole source may have."""
        frames = self.source.media.video.frames
        damaged = len(frozenset[int]().union(*(made.damaged_pts for made in places)))
        if damaged > max(1.0, self.settings.max_damaged_share * frames):
            raise InputDamaged(
                f"{damaged} of {frames} frames cannot be decoded; the limit is {self.settings.max_damaged_share:.0%}.",
                hint="Find a better copy of the source, or raise SR_MAX_DAMAGED_SHARE.",
            )


@contextmanager
def stage(doing: str, path: Path) -> Iterator[None]:
    """Turn what a job would fail at into RehearsalFailed."""
    try:
        yield
    except (*_AS_THEY_ARE, MemoryError):
        raise
    except Exception as exc:
        logger.opt(exception=exc).debug("a rehearsal broke off")
        said = exc.message if isinstance(exc, SrError) else f"{type(exc).__name__}: {exc}."
        raise RehearsalFailed(
            f"{path.name} cannot be enlarged: {doing} failed. {said}",
            hint=_OTHER_COPY,
        ) from exc
