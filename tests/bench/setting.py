"""What the measurements share: the clip, its records as the steps make them, and a table to write rows into."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.graphs.runtime import Session
from sr_tasks.inference.backend import backend_for
from sr_tasks.inference.loop import upscale_chunk
from sr_tasks.inference.priority import giving_way
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.encode import ChunkWriter
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import ModelRecord, PlanRecord, SourceRecord
from sr_tasks.records.media import Chunk
from sr_tasks.records.prepared import PreparedModel
from sr_tasks.steps import plan, prepare_model, validate
from sr_tasks.steps.shared.encoding import encode_settings


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `reached` is None where nothing is asked for."""

    what: str
    figure: str
    asked: str
    reached: bool | None


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, figure: str, asked: str = "", reached: bool | None = None) -> None:
        self.rows.append(Row(what=what, figure=figure, asked=asked, reached=reached))
        print(f"  {what}: {figure}", flush=True)

    def markdown(self) -> str:
        mark = {True: "yes", False: "NO", None: ""}
        lines = ["| what | measured | asked for | reached |", "| --- | --- | --- | --- |"]
        lines += [f"| {r.what} | {r.figure} | {r.asked} | {mark[r.reached]} |" for r in self.rows]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A clip, ready to be upscaled over and over as one chunk."""

    clip: Path
    chunk: Chunk
    encode: EncodeSettings
    prepared: PreparedModel
    streams: int
    scratch: Path

    @classmethod
    def of(cls, clip: Path, scratch: Path, **changes: object) -> "Bench":
        settings = dataclasses.replace(Settings.from_env(), workdir=scratch / "workdir", **changes)  # type: ignore[arg-type]
        spec = JobSpec(source=str(clip), output=str(scratch / "out.mp4"), overwrite=True, model="compact-x2")
        validate.run(spec, "bench", settings)
        plan.run("bench", settings)
        prepare_model.run("bench", settings)
        folder = JobFolder(settings.workdir, "bench")
        source, planned = folder.load("source", SourceRecord), folder.load("plan", PlanRecord)
        frames = source.media.video.frames
        return cls(
            clip=clip,
            chunk=plan_chunks(clip, target_frames=frames, total_frames=frames)[0],
            encode=encode_settings(spec, source, planned),
            prepared=folder.load("model", ModelRecord).prepared,
            streams=planned.streams,
            scratch=scratch,
        )

    def reader(self) -> ChunkReader:
        return ChunkReader(path=self.clip, chunk=self.chunk)

    def writer(self, name: str, *, threads: int | None = None) -> ChunkWriter:
        encode = self.encode if threads is None else dataclasses.replace(self.encode, threads=threads)
        return ChunkWriter(self.scratch / name, encode, self.chunk.start_pts, self.chunk.frames)

    def session(self, streams: int) -> Session:
        width, height = self.encode.width // 2, self.encode.height // 2
        backend = backend_for(self.prepared.backend)
        return giving_way(lambda: backend.open(self.prepared, width, height, streams=streams))

    def pipeline_fps(self) -> float:
        session = self.session(self.streams)
        started = time.perf_counter()
        report = upscale_chunk(
            self.reader(), session, self.writer("pipeline.nut"), streams=self.streams, on_frame=lambda _: None
        )
        seconds = time.perf_counter() - started
        session.close()
        return report.frames / seconds


def median_of(rounds: int, *works: Callable[[], float]) -> list[float]:
    """Medians of several measurements taken in turn, so that a noisy neighbour meets all of them alike."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for values, work in zip(taken, works, strict=True):
            values.append(work())
    return [statistics.median(values) for values in taken]
