"""The course of a rehearsal: a few frames and the other streams of a source go through everything a job does, with a
plain resampling in the network's place. Runs in a process of its own; writes into one scratch folder."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import (
    ContainerMismatch,
    DiskFull,
    InputDamaged,
    InputRefused,
    OutOfMemory,
    RehearsalFailed,
    SrError,
)
from sr_tasks.inference.backend import Planes
from sr_tasks.inference.loop import upscale_chunk
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.assemble import ChunkFile, assemble, reorder_depth
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.encode import ChunkWriter, prove_chunk
from sr_tasks.media.excerpt import excerpt
from sr_tasks.media.places import Place, chosen
from sr_tasks.media.probe import probe
from sr_tasks.planes.frames import planes_of
from sr_tasks.quality import integrity
from sr_tasks.quality.consistency import assess
from sr_tasks.records.assessment import Assessment
from sr_tasks.records.codecs import Preset
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import PlanRecord, SourceRecord
from sr_tasks.records.media import Chunk, MediaInfo, StreamPlan
from sr_tasks.records.rehearsal import Rehearsal, RehearsedPlace
from sr_tasks.steps.shared.encoding import encode_settings

if TYPE_CHECKING:
    from hashlib import _Hash

_AS_THEY_ARE: Final = (InputRefused, InputDamaged, OutOfMemory, DiskFull)
_MOST_FRAMES, _LEAST_FRAMES = 12, 2
_PLACES = 3
_WHOLE_BYTES: Final = 48 << 20
"""Of a source up to that size the other streams are joined whole, of a larger one their first seconds."""
_EXCERPT_S: Final = 10.0
_HELD_BYTES: Final = 256 << 20
_OTHER_COPY: Final = "Check it in a media player; if it plays, convert it with another program first."


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is tried: frames at each place, with which preset of the encoder."""

    frames: int
    preset: Preset

    @classmethod
    def of(cls, spec: JobSpec, source: SourceRecord, budget_s: float, frame_s: Callable[[Preset], float]) -> "Effort":
        """As many frames as `budget_s` allows; `frame_s` gives the seconds a frame takes with a preset. Where even a
        few are too slow, the fastest preset stands for the job's own."""
        preset = spec.preset
        if _LEAST_FRAMES * _PLACES * frame_s(preset) > budget_s:
            preset = "ultrafast"
        affordable = int(budget_s / _PLACES / frame_s(preset))
        return cls(frames=max(_LEAST_FRAMES, min(_MOST_FRAMES, affordable)), preset=preset)


def through(spec: JobSpec, source: SourceRecord, effort: Effort, scratch: Path, settings: Settings) -> Rehearsal:
    """Raises RehearsalFailed for what a job would fail at, or the InputRefused error that says it better."""
    path, video = Path(source.local_path), source.media.video
    with _stage("choosing frames", path):
        places = chosen(path, source.media, effort.frames)
    threads = settings.worker_threads
    plan = PlanRecord(source_sha256="", chunks=(), streams=threads, encoder_threads=max(1, min(8, threads // 2)))
    encode = dataclasses.replace(encode_settings(spec, source, plan), preset=effort.preset)
    course = _Course(spec=spec, source=source, encode=encode, scratch=scratch, settings=settings)
    first, *later = [course.made(place) for place in places]
    streams_s = None if source.size_bytes <= _WHOLE_BYTES else _EXCERPT_S
    begin_s = min((stream.start_s for stream in source.media.streams if stream.start_s is not None), default=0.0)
    with excerpt(path, begin_s + streams_s) if streams_s is not None else nullcontext():
        fates, changed = course.settled(first)
    for made in later:
        course.compare(made)
    return Rehearsal(
        places=tuple(
            RehearsedPlace(
                start_s=round(float((place.video.start_pts - video.start_pts) * video.tick), 3),
                frames=place.video.frames,
            )
            for place in places
        ),
        is_whole=places[0].video.frames == video.frames,
        preset=effort.preset,
        streams_s=streams_s,
        fates=fates,
        changed=changed,
    )


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A place that was enlarged: its chunk files, and the time stamps that were repeated."""

    place: Place
    files: tuple[ChunkFile, ...]
    damaged_pts: frozenset[int]


class Resampler:
    """Stands for a network: each plane resized to the size of the output's. Hashes what it is given."""

    def __init__(self) -> None:
        self.seen = hashlib.sha256()

    @property
    def output_shapes(self) -> tuple[tuple[int, int], ...]:
        return ()

    def infer(self, planes: Planes, out: Planes | None = None) -> Planes:
        if out is None:
            raise ValueError("planes to write into are needed")
        _note(self.seen, planes)
        for plane, target in zip(planes, out, strict=True):
            size = (target.shape[1], target.shape[0])
            target[...] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
        return out

    def close(self) -> None:
        """Nothing is held."""


def _note(digest: "_Hash", planes: Planes) -> None:
    for plane in planes:
        digest.update(np.ascontiguousarray(plane).data)


@dataclass(kw_only=True)
class _Course:
    spec: JobSpec
    source: SourceRecord
    encode: EncodeSettings
    scratch: Path
    settings: Settings

    def __post_init__(self) -> None:
        self._path = Path(self.source.local_path)

    def made(self, place: Place) -> _Made:
        """Decode, resample and encode a place, and read it back."""
        files: list[ChunkFile] = []
        damaged: list[int] = []
        for chunk in place.chunks:
            file = self.scratch / f"{chunk.start_pts}.nut"
            with _stage(f"enlarging {chunk.frames} frames", self._path):
                resampler = Resampler()
                report = upscale_chunk(
                    ChunkReader(path=self._path, chunk=chunk, picture=self.source.media.picture),
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
        self._refuse_damage(place, len(damaged))
        return _Made(place=place, files=tuple(files), damaged_pts=frozenset(damaged))

    def compare(self, made: _Made) -> None:
        """Decode the chunk of a place and compare it with its source. Raises RehearsalFailed."""
        video = made.place.video
        with _stage(f"comparing {video.frames} frames", self._path):
            file = made.files[0].path
            found = self._assessed(made, file, probe(file))
            decode = found.decode
            if decode.output_errors or not decode.output_frames == decode.source_frames == video.frames:
                raise RehearsalFailed(
                    f"{decode.output_frames} of {video.frames} frames come out near "
                    f"{float(video.start_pts * video.tick):.1f} s of {self._path.name}.",
                    hint=_OTHER_COPY,
                )

    def settled(self, made: _Made) -> tuple[tuple[StreamPlan, ...], tuple[str, ...]]:
        """The plan of streams that comes out, and what had to be changed in it. Raises ContainerMismatch,
        RehearsalFailed."""
        planned = list(self.source.fates)
        why = self._wrong_with(made, planned)
        if not why:
            return tuple(planned), ()
        others = [row for row in planned if row.fate in ("kept", "converted") and row.output_index is not None]
        for row in others:
            without = _without(planned, [(row, why)])
            if not self._wrong_with(made, without):
                return tuple(without), (self._told(row, why),)
        culprits = [(row, why) for row in others]
        if not others or (still := self._wrong_with(made, _without(planned, culprits))):
            raise RehearsalFailed(
                f"A few frames of {self._path.name} do not come out as planned. {still if others else why}",
                hint="Convert the source first (a remux to .mkv may do), or choose another output.",
            )
        for row in others:
            fewer = [(other, said) for other, said in culprits if other is not row]
            if not self._wrong_with(made, _without(planned, fewer)):
                culprits = fewer
        return tuple(_without(planned, culprits)), tuple(self._told(row, said) for row, said in culprits)

    def _told(self, row: StreamPlan, why: str) -> str:
        """Raises ContainerMismatch for the first sound, which nobody wants to lose."""
        name = f"Stream {row.source_index} ({row.type}, {row.codec})"
        first = next((other for other in self.source.fates if other.type == "audio"), None)
        if row is first:
            raise ContainerMismatch(
                f"{name} does not come out of a {self.source.suffix} file as it went in: {why}",
                hint="Choose an .mkv output." if self.source.suffix != ".mkv" else "Convert its sound first.",
            )
        return f"{name} is dropped: {why}"

    def _wrong_with(self, made: _Made, fates: Sequence[StreamPlan]) -> str:
        """Join, read and compare; why that is not as planned, empty if it is."""
        output = self.scratch / f"joined{self.source.suffix}"
        try:
            assemble(
                self._path, output, self.source.suffix, made.place.video, made.files, list(fates),
                self.source.display_matrix, self.source.media.picture.clock, self.source.hdr, self.spec.strip,
            )  # fmt: skip
            return self._differences(made, output, tuple(fates))
        except (MemoryError, OutOfMemory, DiskFull):
            raise
        except SrError as exc:
            return exc.message
        except Exception as exc:
            logger.opt(exception=exc).debug("a rehearsal broke off")
            return f"{type(exc).__name__}: {exc}."
        finally:
            output.unlink(missing_ok=True)

    def _differences(self, made: _Made, output: Path, fates: tuple[StreamPlan, ...]) -> str:
        output_info = probe(output)
        found = self._assessed(made, output, output_info)
        media = self.source.media.model_copy(update={"video": made.place.video})
        proof = integrity.check(
            self._path, output, media, output_info, scale=self.spec.scale, fates=fates, decode=found.decode,
            timing=found.timing,
        )  # fmt: skip
        return " ".join(f"{finding.check}: {finding.detail}." for finding in proof.findings if not finding.ok)

    def _assessed(self, made: _Made, output: Path, output_info: MediaInfo) -> Assessment:
        media = self.source.media.model_copy(update={"video": made.place.video})
        return assess(
            self._path, output, media, output_info, self.spec.scale, report_progress=lambda done: None,
            damaged_pts=made.damaged_pts, threads=1, places=made.place.chunks,
        )  # fmt: skip

    def _refuse_chance(self, chunk: Chunk, seen: str) -> None:
        """Some decoders leave what is damaged as the memory happened to be: such frames are not the same twice."""
        if any(self._decoded(chunk, held_bytes) != seen for held_bytes in (0, _HELD_BYTES)):
            raise InputDamaged(
                f"Frames of {self._path.name} are damaged so that they are decoded differently each time.",
                hint="Find a better copy of the source, or convert it with another program first.",
            )

    def _decoded(self, chunk: Chunk, held_bytes: int) -> str:
        digest = hashlib.sha256()
        reader = ChunkReader(path=self._path, chunk=chunk, picture=self.source.media.picture, held_bytes=held_bytes)
        for item in reader.frames():
            _note(digest, planes_of(item.frame)[:3])  # alpha does not go through the session
        return digest.hexdigest()

    def _refuse_damage(self, place: Place, damaged: int) -> None:
        """By the rule of the job, where all of its frames are here."""
        frames = place.video.frames
        is_all = frames == self.source.media.video.frames
        if is_all and damaged > max(1.0, self.settings.max_damaged_share * frames):
            raise InputDamaged(
                f"{damaged} of {frames} frames cannot be decoded; the limit is {self.settings.max_damaged_share:.0%}.",
                hint="Find a better copy of the source, or raise SR_MAX_DAMAGED_SHARE.",
            )


def _without(fates: Sequence[StreamPlan], culprits: Sequence[tuple[StreamPlan, str]]) -> list[StreamPlan]:
    """The plan with these rows dropped, and the outputs numbered anew."""
    why = {row.source_index: said for row, said in culprits}
    rows = [
        row.model_copy(
            update={"fate": "dropped", "output_index": None, "reason": f"in a rehearsal: {why[row.source_index]}"}
        )
        if row.source_index in why and row.output_index is not None
        else row
        for row in fates
    ]
    order = sorted(row.output_index for row in rows if row.output_index is not None)
    place = {index: number for number, index in enumerate(order)}
    return [
        row if row.output_index is None else row.model_copy(update={"output_index": place[row.output_index]})
        for row in rows
    ]


@contextmanager
def _stage(doing: str, path: Path) -> Iterator[None]:
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
