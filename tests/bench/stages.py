"""The pipeline against its cost bound: cores / (one-thread network + decode + encode seconds, each timed alone)."""

import os
import time

from av.video.frame import VideoFrame

from sr_tasks.planes.frames import planes_of
from tests.bench.setting import Bench, Table

_KEEP = 40
_TIMED = 120


def measure(bench: Bench, table: Table, rounds: int) -> None:
    """Add the stage costs and the efficiency: the median of the rounds, each of which times all four in turn."""
    frames = [item.frame for item in bench.reader().frames()]
    outputs = _outputs(bench, frames[:_KEEP])
    cores = len(os.sched_getaffinity(0))
    taken: list[tuple[float, ...]] = []
    for _ in range(rounds):
        decode_s = _decode_s(bench, len(frames))
        network_s = _network_s(bench, frames[:_TIMED])
        encode_s = _encode_s(bench, outputs, len(frames))
        fps, bound = bench.pipeline_fps(), cores / (network_s + decode_s + encode_s)
        taken.append((fps / bound, fps, bound, network_s, decode_s, encode_s))
    share, fps, bound, network_s, decode_s, encode_s = sorted(taken)[len(taken) // 2]
    table.add(
        "stages alone, one thread, ms a frame",
        f"network {network_s * 1e3:.1f}, decode {decode_s * 1e3:.2f}, encode {encode_s * 1e3:.1f}",
    )
    table.add(
        f"pipeline against its cost bound ({bench.prepared.backend} {bench.prepared.precision})",
        f"{fps:.1f} of {bound:.1f} fps = {share:.2f} ({min(taken)[0]:.2f} to {max(taken)[0]:.2f})",
        ">= 0.88",
        share >= 0.88,
    )


def _decode_s(bench: Bench, frames: int) -> float:
    started = time.perf_counter()
    for _ in bench.reader().frames():
        pass
    return (time.perf_counter() - started) / frames


def _outputs(bench: Bench, frames: list[VideoFrame]) -> list[VideoFrame]:
    session, writer = bench.session(1), bench.writer("unused.nut")
    made = []
    for frame in frames:
        output = writer.new_frame()
        session.infer((planes_of(frame),), planes_of(output))
        made.append(output)
    writer.abort()
    session.close()
    return made


def _network_s(bench: Bench, frames: list[VideoFrame]) -> float:
    session, writer = bench.session(1), bench.writer("unused.nut")
    session.infer((planes_of(frames[0]),), planes_of(writer.new_frame()))
    started = time.perf_counter()
    for frame in frames:
        session.infer((planes_of(frame),), planes_of(writer.new_frame()))
    seconds = time.perf_counter() - started
    writer.abort()
    session.close()
    return seconds / len(frames)


def _encode_s(bench: Bench, outputs: list[VideoFrame], frames: int) -> float:
    """The outputs forth and back, so that each frame resembles the one before as in the clip."""
    writer = bench.writer("encode.nut", threads=1)
    step = max(1, (bench.chunk.end_pts - bench.chunk.start_pts) // bench.chunk.frames)
    started = time.perf_counter()
    for number in range(frames):
        place = number % (2 * len(outputs) - 2)
        frame = outputs[place] if place < len(outputs) else outputs[2 * len(outputs) - 2 - place]
        writer.write(frame, bench.chunk.start_pts + number * step)
    writer.close()
    return (time.perf_counter() - started) / frames
