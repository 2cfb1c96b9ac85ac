"""Integrity: what must be the same is proved to be, and each thing that was changed is named."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from sr_tasks.errors import IntegrityBroken
from sr_tasks.media.probe import probe
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.streams import fingerprints, payload
from sr_tasks.records.assessment import Decision
from tests.clips import make
from tests.quality.twins import Judged, judge, write_twin

Change = Callable[[av.Packet], av.Packet | None]


def keep(packet: av.Packet) -> av.Packet | None:
    return packet


def labelled(stream: Any, original: Any) -> None:
    """As an output should be."""
    stream.metadata.update(original.metadata)
    stream.disposition = original.disposition


def join(
    picture: Path, source: Path, output: Path, sound: Change = keep, video: Change = keep, label: Any = labelled
) -> Path:
    """The twin's picture and the source's other streams in one file, packet by packet, each changed on its way."""
    with av.open(str(picture)) as left, av.open(str(source)) as right, av.open(str(output), "w") as out:
        added: dict[Any, Any] = {left.streams.video[0]: out.add_stream_from_template(left.streams.video[0])}
        label(added[left.streams.video[0]], right.streams.video[0])
        others = [stream for stream in right.streams if stream.type in ("audio", "subtitle")]
        for stream in others:
            added[stream] = out.add_stream_from_template(stream)
            label(added[stream], stream)
        out.set_chapters(right.chapters())
        packets = [p for p in left.demux(video=0) if p.size]
        packets += [p for p in right.demux(others) if p.size] if others else []
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            changed = (video if packet.stream.type == "video" else sound)(packet)
            if changed is not None:
                changed.stream = added[packet.stream]
                out.mux(changed)
    return output


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    return make(folder / "source.mp4", sound="aac", colorspace=6, color_primaries=6, color_trc=6)


@pytest.fixture(scope="module")
def picture(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin(tmp_path_factory.mktemp("picture") / "picture.mp4", source)


def broken(judged: Judged) -> list[str]:
    return [finding.check for finding in judged.integrity.findings if not finding.ok]


def replaced(packet: av.Packet, data: bytes) -> av.Packet:
    """Another content at the same time."""
    other = av.Packet(data)
    other.pts, other.dts = packet.pts, packet.dts
    other.time_base, other.duration = packet.time_base, packet.duration
    return other


def test_a_whole_output_has_no_broken_finding(source: Path, picture: Path, tmp_path: Path) -> None:
    judged = judge(source, join(picture, source, tmp_path / "out.mp4"))
    assert broken(judged) == []
    assert judged.verdict.decision is Decision.PASSED
    details = {finding.check: finding.detail for finding in judged.integrity.findings}
    assert details["Time stamps"] == "every one equal"
    packets = details["Audio #1 (aac deu): content"]
    assert packets.startswith("all ")
    assert packets.endswith(" packets byte-identical")


def test_the_same_in_matroska_is_equal_to_within_its_ticks(source: Path, picture: Path, tmp_path: Path) -> None:
    judged = judge(source, join(picture, source, tmp_path / "out.mkv"))
    assert broken(judged) == []


def test_one_changed_byte_of_sound_is_found(source: Path, picture: Path, tmp_path: Path) -> None:
    count = 0

    def flip(packet: av.Packet) -> av.Packet:
        nonlocal count
        count += 1
        if count != 9:
            return packet
        data = bytearray(bytes(packet))
        data[-1] ^= 1
        return replaced(packet, bytes(data))

    judged = judge(source, join(picture, source, tmp_path / "out.mp4", sound=flip))
    assert broken(judged) == ["Audio #1 (aac deu): content"]
    assert judged.verdict.decision is Decision.FAILED


def test_a_missing_packet_of_sound_is_found(source: Path, picture: Path, tmp_path: Path) -> None:
    taken = iter(range(100))
    judged = judge(
        source,
        join(picture, source, tmp_path / "out.mp4", sound=lambda p: None if next(taken) == 5 else p),
    )
    assert "Audio #1 (aac deu): content" in broken(judged)


def test_sound_out_of_step_is_found(source: Path, picture: Path, tmp_path: Path) -> None:
    def later(packet: av.Packet) -> av.Packet:
        packet.pts += 4800
        packet.dts += 4800
        return packet

    judged = judge(source, join(picture, source, tmp_path / "out.mp4", sound=later))
    assert broken(judged) == ["Audio #1 (aac deu): in step with the picture"]
    assert "moved by 99." in judged.why


def test_everything_moved_together_is_allowed(source: Path, picture: Path, tmp_path: Path) -> None:
    def later(packet: av.Packet) -> av.Packet:
        step = round(Fraction(1, 10) / packet.time_base)
        packet.pts += step
        packet.dts += step
        return packet

    judged = judge(source, join(picture, source, tmp_path / "out.mkv", sound=later, video=later))
    assert broken(judged) == []
    stamps = next(f for f in judged.integrity.findings if f.check == "Time stamps")
    assert "start 100 ms later" in stamps.detail


def test_a_language_that_got_lost_is_named(source: Path, picture: Path, tmp_path: Path) -> None:
    judged = judge(source, join(picture, source, tmp_path / "out.mp4", label=lambda stream, original: None))
    assert broken(judged) == ["Languages"]
    assert "#1 deu became" in judged.why
    assert judged.verdict.decision is Decision.FAILED


def test_a_language_that_the_container_has_no_room_for_is_named_and_forgiven(
    picture: Path, source: Path, tmp_path: Path
) -> None:
    def british(stream: Any, original: Any) -> None:
        stream.metadata["language"] = "en-GB"

    regional = join(picture, source, tmp_path / "source.mkv", label=british)
    judged = judge(regional, join(write_twin(tmp_path / "twin.mp4", regional), regional, tmp_path / "out.mp4"))
    assert broken(judged) == []
    languages = next(f for f in judged.integrity.findings if f.check == "Languages")
    assert "en-GB" in languages.detail


def test_a_mark_that_got_lost_in_matroska_is_named(source: Path, picture: Path, tmp_path: Path) -> None:
    def marked(stream: Any, original: Any) -> None:
        labelled(stream, original)
        stream.disposition = 64  # forced, not default

    forced = join(picture, source, tmp_path / "source.mkv", label=marked)
    twin = write_twin(tmp_path / "twin.mp4", forced)
    assert broken(judge(forced, join(twin, forced, tmp_path / "same.mkv"))) == []

    def unmarked(stream: Any, original: Any) -> None:
        stream.metadata.update(original.metadata)
        stream.disposition = 0

    judged = judge(forced, join(twin, forced, tmp_path / "out.mkv", label=unmarked))
    assert broken(judged) == ["Dispositions"]
    assert "#1 lost 'forced'" in judged.why


def test_lost_chapters_are_counted(tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mkv", sound="flac", chapters=True, colorspace=6, color_primaries=6, color_trc=6)
    twin = write_twin(tmp_path / "twin.mp4", clip)
    judged = judge(clip, twin)
    assert "Chapters" in broken(judged)
    assert "0, source 2" in judged.why
    assert broken(judge(clip, join(twin, clip, tmp_path / "out.mkv"))) == []


def test_missing_sound_is_found(source: Path, picture: Path) -> None:
    judged = judge(source, picture)
    assert broken(judged) == ["Streams", "Audio #1 (aac deu): there"]


def test_a_missing_last_frame_is_found(source: Path, tmp_path: Path) -> None:
    short = write_twin(tmp_path / "short.mp4", source, spoil=lambda frames: frames[:-1])
    judged = judge(source, join(short, source, tmp_path / "out.mp4"))
    assert "Frames" in broken(judged)
    assert "23 in the output, 24 in the source" in judged.why


def test_one_moved_time_stamp_is_found(source: Path, tmp_path: Path) -> None:
    with av.open(str(source)) as container:
        stamps = sorted(p.pts for p in container.demux(video=0) if p.size)
    moved = write_twin(tmp_path / "moved.mp4", source, pts=lambda pts: pts + (pts == stamps[7]))
    judged = judge(source, join(moved, source, tmp_path / "out.mp4"))
    assert "Time stamps" in broken(judged)
    assert "frame 7 is off by" in judged.why


def test_varying_frame_rate_is_kept_exactly(tmp_path: Path) -> None:
    pts = [0, 100, 250, 333, 700, 701, 950, 1200, 1333, 1500, 2100, 2200]
    clip = make(tmp_path / "vfr.mp4", frames=12, pts=pts, time_base=Fraction(1, 1000), rate=Fraction(10), colorspace=6,
                color_primaries=6, color_trc=6)  # fmt: skip
    judged = judge(clip, write_twin(tmp_path / "out.mp4", clip))
    assert broken(judged) == []


def test_changed_tags_are_named(tmp_path: Path) -> None:
    clip = make(tmp_path / "bt709.mp4", colorspace=1, color_primaries=1, color_trc=1)
    judged = judge(clip, write_twin(tmp_path / "bt601.mp4", clip))
    assert broken(judged) == ["Colour tags"]
    assert "colorspace 1 became 6" in judged.why


def test_lost_rotation_and_aspect_are_named(tmp_path: Path) -> None:
    clip = make(tmp_path / "turned.mp4", rotation=90, sample_aspect_ratio=Fraction(4, 3), colorspace=6,
                color_primaries=6, color_trc=6)  # fmt: skip
    assert broken(judge(clip, write_twin(tmp_path / "plain.mp4", clip))) == ["Pixel aspect ratio", "Rotation"]


def test_an_output_that_does_not_decode_is_found(source: Path, picture: Path, tmp_path: Path) -> None:
    seen = iter(range(100))

    def spoil(packet: av.Packet) -> av.Packet:
        if next(seen) != 12:
            return packet
        return replaced(packet, bytes([0, 0, 0, 8]) + b"\xff" * 8)

    judged = judge(source, join(picture, source, tmp_path / "out.mp4", video=spoil))
    assert "Output decodes to its end" in broken(judged)


def test_an_output_of_another_size_is_refused_at_once(source: Path, tmp_path: Path) -> None:
    twin = write_twin(tmp_path / "out.mp4", source, scale=3)
    with pytest.raises(IntegrityBroken, match="480x288, not 320x192"):
        assess(source, twin, probe(source), probe(twin), (320, 192), report_progress=lambda _: None)


def test_sound_from_a_transport_stream_is_equal_without_its_headers(source: Path, tmp_path: Path) -> None:
    stream = tmp_path / "source.ts"
    with av.open(str(source)) as before, av.open(str(stream), "w") as out:
        sound = out.add_stream_from_template(before.streams.audio[0])
        for packet in before.demux(audio=0):
            if packet.size:
                packet.stream = sound
                out.mux(packet)
    assert fingerprints(stream, {0})[0].holds_the_same_as(fingerprints(source, {1})[1])


def test_payload_takes_headers_off_aac_alone() -> None:
    header = bytes([0xFF, 0xF1, 0x50, 0x80, 0x01, 0x7F, 0xFC])
    assert payload(header + b"data", "aac") == b"data"
    assert payload(header + b"data", "mp3") == header + b"data"
    assert payload(header + b"longer", "aac") == header + b"longer"
    assert payload(b"\0\0", "mov_text") == b""


def test_other_streams_are_compared_too(tmp_path: Path) -> None:
    clip = make(tmp_path / "rich.mkv", sound="flac", attachment=True, chapters=True, colorspace=6, color_primaries=6,
                color_trc=6)  # fmt: skip
    prints = fingerprints(clip, {0, 1, 2})
    assert prints[1].packets == 10
    assert prints[2].packets == 1


def test_fingerprints_of_pcm_do_not_depend_on_how_it_is_cut(tmp_path: Path) -> None:
    clip = make(tmp_path / "pcm.mkv", sound="pcm_s16le")
    recut = tmp_path / "pcm.avi"
    with av.open(str(clip)) as before, av.open(str(recut), "w") as out:
        sound = out.add_stream_from_template(before.streams.audio[0])
        waiting = b"".join(bytes(p) for p in before.demux(audio=0) if p.size)
        for start in range(0, len(waiting), 1000):
            packet = av.Packet(waiting[start : start + 1000])
            packet.pts = packet.dts = start // 4
            packet.time_base = Fraction(1, 48_000)
            packet.stream = sound
            out.mux(packet)
    left, right = fingerprints(clip, {1})[1], fingerprints(recut, {0})[0]
    assert left.packets != right.packets
    assert left.holds_the_same_as(right)
