"""The rate of a job that asks for a bitrate or a size: all chunks are encoded anew, at the one CRF that gives it.

What `upscale` left are files of high quality, so the network is not run again. Rounds are kept in the job folder: a job
that was killed goes on with those that it has, and comes to the same bytes.
"""

import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import InputUnsupported
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.rate_search import best, next_crf
from sr_tasks.media.recode import Part, Segment, recode, segments_of
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.job import PlanRecord, SourceRecord
from sr_tasks.records.rate import AIM, RateRecord, Round
from sr_tasks.steps.shared.encoding import encode_settings
from sr_tasks.storage.space import SpaceWatch
from sr_tasks.storage.workdir import ChunkStore
from sr_tasks.streams.assemble import ChunkFile, reorder_depth

ROUNDS: Final = 4
"""Of all chunks that a job takes at most; two are usual."""
_MOST_ROUNDS: Final = 12
SEGMENT_FRAMES: Final = 1000
"""Chunks are encoded together up to that many frames: encoders put a keyframe every 250 by themselves."""
SAMPLED: Final = 8
"""Segments that the first rounds of a video with more of them encode."""
_NEAR: Final = 0.08
"""How near a sample has to come before all chunks are encoded."""
_KNOWN_PX_BITS: Final = 0.1
"""Bits for each px and frame that the default quality takes of a usual picture, for the first round."""


class Rate:
    """Encodes the chunks of a job until they have the size asked for.

    `join`: writes the finished file from chunk files, and gives its size in bytes.
    """

    def __init__(
        self, folder: JobFolder, store: ChunkStore, settings: Settings, join: Callable[[Sequence[ChunkFile]], int]
    ) -> None:
        self._folder, self._chunks, self._join = folder, store, join
        self._spec, self._source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
        self._plan = folder.load("plan", PlanRecord)
        self._segments = segments_of(self._plan.chunks, SEGMENT_FRAMES)
        encode = encode_settings(self._spec, self._source, self._plan)
        self._encode = dataclasses.replace(encode, threads=min(8, self._plan.streams))
        self._row = self._spec.video_codec
        self._require_room = SpaceWatch(folder.path, settings.min_free_bytes)
        self._record = self._known(_fingerprint(store, self._encode, self._spec))

    def settle(self) -> RateRecord:
        """Leave the finished file, joined from chunks of the CRF that is decided, and `rate` in the job folder.

        Raises InputUnsupported if the codec cannot make the picture so small, and what `recode` and `join` raise.
        """
        record = self._record
        if record.crf is None:
            self._search(self._segments[:: -(-len(self._segments) // SAMPLED)], _NEAR)
            self._search(self._segments, 0.0)
            taken = best(self._record.goal_bytes, self._whole())
            self._refuse_too_large(taken)
            record = self._keep(self._record.model_copy(update={"crf": taken.crf}))
        self._join(self._files(record.crf or 0.0, self._segments))
        logger.info("rate: crf {} after {} rounds", record.crf, len(record.rounds))
        return record

    def _search(self, segments: Sequence[Segment], near: float) -> None:
        """Rounds over some segments, or all, until no other CRF can be nearer; for a sample, until it is `near`."""
        is_sample = len(segments) < len(self._segments)
        if is_sample and self._whole():
            return
        for _ in range(_MOST_ROUNDS):
            done = [one for one in self._record.rounds if one.segments == len(segments)]
            if is_sample and done and abs(done[-1].picture_bytes / self._goal() - 1) < near:
                return
            if done and not is_sample:
                self._learn_the_rest(done[-1])
                self._forget_others()
            start = self._record.rounds[-1].crf if self._record.rounds else self._first_crf()
            crf = next_crf(self._row, self._goal(), done, start)
            if crf is None:
                return
            self._round(crf, segments)

    def _round(self, crf: float, segments: Sequence[Segment]) -> None:
        self._files(crf, segments)
        store = self._store(crf)
        markers = [store.committed(number) or {} for segment in segments for number, _, _ in self._parts(crf, segment)]
        share = sum(one.frames for one in self._segments) / sum(one.frames for one in segments)
        size = round(sum(marker["picture_bytes"] for marker in markers) * share)
        found = Round(crf=crf, segments=len(segments), picture_bytes=size)
        logger.info("rate: crf {} gives {} bytes of the picture", crf, size)
        self._keep(self._record.model_copy(update={"rounds": (*self._record.rounds, found)}))

    def _learn_the_rest(self, found: Round) -> None:
        """What the other streams and the container take is known once a file is joined."""
        wanted = self._spec.output_bytes
        if wanted is None or self._record.goal_bytes:
            return
        rest = self._join(self._files(found.crf, self._segments)) - found.picture_bytes
        if rest >= wanted * AIM:
            raise InputUnsupported(
                f"Everything but the picture takes {rest / 1e6:.2f} MB, and target_size is {wanted / 1e6:.2f} MB.",
                hint="Ask for a larger size, or for sound of a lower bitrate.",
            )
        self._keep(self._record.model_copy(update={"goal_bytes": round(wanted * AIM) - rest}))

    def _goal(self) -> int:
        """Bytes of the picture; of all streams as long as the others are not known."""
        return self._record.goal_bytes or round((self._spec.output_bytes or 0) * AIM)

    def _first_crf(self) -> float:
        pixels = self._encode.width * self._encode.height * self._source.media.video.frames
        return (self._row.crf or 0) + 6 * math.log2(_KNOWN_PX_BITS * pixels / 8 / self._goal())

    def _files(self, crf: float, segments: Sequence[Segment]) -> list[ChunkFile]:
        """The segments' files at a CRF, encoded where they are not there yet."""
        return [file for segment in segments for file in self._of_segment(crf, segment)]

    def _of_segment(self, crf: float, segment: Segment) -> Iterator[ChunkFile]:
        store = self._store(crf)
        parts = list(self._parts(crf, segment))
        if any(store.committed(number) is None for number, _, _ in parts):
            files = [
                Part(path=store.partial(number), settings=dataclasses.replace(self._encode, crf=own), frames=frames)
                for number, own, frames in parts
            ]
            facts = recode(segment, self._chunks.chunk_path, files, self._require_room)
            for (number, _, _), part, fact in zip(parts, files, facts, strict=True):
                depth = reorder_depth(part.path, self._encode.time_base)
                store.commit(number, part.path, {**dataclasses.asdict(fact), "reorder_depth": depth})
        for number, _, _ in parts:
            marker = store.committed(number) or {}
            yield ChunkFile(
                path=store.chunk_path(number), start_pts=marker["start_pts"], reorder_depth=marker["reorder_depth"]
            )

    def _parts(self, crf: float, segment: Segment) -> Iterator[tuple[int, float, int]]:
        """Number, CRF and frames of a segment's files. A codec of whole steps gets a CRF between two by giving some
        frames the one and some the other."""
        if not self._row.has_whole_crfs:
            yield 2 * segment.index, crf, segment.frames
            return
        low = int(crf)
        upper = round((crf - low) * segment.frames)
        if upper:
            yield 2 * segment.index, low + 1, upper
        if upper < segment.frames:
            yield 2 * segment.index + 1, low, segment.frames - upper

    def _store(self, crf: float) -> ChunkStore:
        store = ChunkStore(self._folder.path / "rate", f"{self._record.fingerprint[:32]}-{round(crf * 100):05d}")
        store.register(self._folder.job_id)
        return store

    def _whole(self) -> list[Round]:
        return [one for one in self._record.rounds if one.segments == len(self._segments)]

    def _forget_others(self) -> None:
        """Keep the files of the two rounds between which the size lies, and no others."""
        whole, goal = self._whole(), self._goal()
        over = sorted((one for one in whole if one.picture_bytes > goal), key=lambda one: one.picture_bytes)
        under = sorted((one for one in whole if one.picture_bytes <= goal), key=lambda one: -one.picture_bytes)
        kept = {one.crf for one in (*over[:1], *under[:1])}
        for one in self._record.rounds:
            if one.crf not in kept:
                self._store(one.crf).release(self._folder.job_id)

    def _refuse_too_large(self, taken: Round) -> None:
        if taken.picture_bytes <= self._goal() / AIM * 1.03:
            return
        factor = taken.picture_bytes / self._goal()
        raise InputUnsupported(
            f"At its lowest quality {self._row.name} takes {factor:.2f} times as much for the picture as asked for.",
            hint="Ask for a larger size or a higher bitrate, a smaller scale, or another codec.",
        )

    def _known(self, fingerprint: str) -> RateRecord:
        found = self._folder.find("rate", RateRecord)
        if found is not None and found.fingerprint == fingerprint:
            return found
        shutil.rmtree(self._folder.path / "rate", ignore_errors=True)
        return RateRecord(fingerprint=fingerprint, goal_bytes=picture_goal(self._spec, self._source))

    def _keep(self, record: RateRecord) -> RateRecord:
        self._record = record
        self._folder.store("rate", record)
        return record


def picture_goal(spec: JobSpec, source: SourceRecord) -> int:
    """Bytes of the picture that a bitrate means; 0 for a size of the whole file."""
    bits = spec.picture_bits
    return 0 if bits is None else max(1, round(bits / 8 * source.media.video.duration_s * AIM))


def _fingerprint(store: ChunkStore, encode: EncodeSettings, spec: JobSpec) -> str:
    facts = [store.fingerprint, dataclasses.asdict(encode), spec.output_bytes, spec.picture_bits]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
