"""What reads an untrusted file may break down, loop or eat memory, and it is told which. The processes are real."""

import ctypes
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import BaseModel

from sr_tasks.errors import InputInvalid, InputTooLarge, InputUnsupported, SrError, StepTimedOut, TransientError
from sr_tasks.media.degradation import measure
from sr_tasks.media.probe import glance, probe
from sr_tasks.steps.shared import confined as module
from sr_tasks.steps.shared import first_look as looking
from sr_tasks.steps.shared.confined import Bounds, confined
from sr_tasks.steps.shared.first_look import bounds_for, first_look, measured, planned_streams
from tests import readers
from tests.clips import Clip, make

ROOMY = Bounds(memory_bytes=512 << 20, cpu_s=60)


class Answer(BaseModel):
    text: str = "read"


def run(work: Callable[[], Any], bounds: Bounds = ROOMY) -> Any:
    return confined(work, Answer, Path("/videos/clip.mkv"), bounds)


def crash() -> Answer:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Answer()


def read_nowhere() -> Answer:
    return Answer(text=str(ctypes.string_at(0)))


def loop() -> Answer:
    while True:
        pass


def work_on_a_busy_machine() -> Answer:
    """Four seconds, of which it has a core for some hundredths now and then."""
    for _ in range(10):
        time.sleep(0.4)
        until = time.process_time() + 0.03
        while time.process_time() < until:
            pass
    return Answer(text="at last")


def eat() -> Answer:
    blocks = [bytearray(16 << 20) for _ in range(10_000)]
    return Answer(text=str(len(blocks)))


def eat_as_a_library_does() -> Answer:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    while block := libc.malloc(16 << 20):
        ctypes.memset(block, 1, 16 << 20)
    raise MemoryError


def stand_still() -> Answer:
    while True:
        time.sleep(60)


def refuse() -> Answer:
    raise InputUnsupported("It is upside down.", hint="Turn it.")


def trip() -> Answer:
    raise AttributeError("no such thing")


def test_what_is_read_comes_back() -> None:
    assert run(lambda: Answer(text="ä " * 500_000)).text == "ä " * 500_000


@pytest.mark.parametrize("work", [crash, read_nowhere])
def test_a_decoder_that_crashes_is_a_file_that_is_refused(work: Callable[[], Any]) -> None:
    with pytest.raises(InputInvalid, match=r"SIGSEGV.* on clip\.mkv") as caught:
        run(work)
    assert caught.value.code.startswith("INPUT_")
    assert caught.value.hint


def test_a_decoder_that_never_ends_is_a_file_that_is_refused() -> None:
    with pytest.raises(InputInvalid, match=r"clip\.mkv did not end within 1 s of work"):
        run(loop, Bounds(memory_bytes=1 << 30, cpu_s=1))


@pytest.mark.parametrize("work", [eat, eat_as_a_library_does])
def test_a_decoder_that_eats_memory_ends_before_the_machine_does(work: Callable[[], Any]) -> None:
    with pytest.raises(InputTooLarge, match="takes more than 256 MiB") as caught:
        run(work, Bounds(memory_bytes=256 << 20, cpu_s=60))
    assert "SR_MAX_TASK_BYTES" in caught.value.hint


def test_what_stands_still_is_ended_and_tried_again() -> None:
    before = psutil.Process().children()  # of other tests of this process
    with pytest.raises(StepTimedOut, match="stood still for"):
        run(stand_still, Bounds(memory_bytes=1 << 30, cpu_s=0))
    assert set(psutil.Process().children()) <= set(before)


def test_what_gets_little_of_a_core_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bounds, "still_s", 2.0)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.2)
    assert run(work_on_a_busy_machine) == Answer(text="at last")


def test_what_somebody_else_kills_is_tried_again() -> None:
    with pytest.raises(TransientError, match="killed from outside"):
        run(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_refusal_keeps_its_code_and_its_words() -> None:
    with pytest.raises(InputUnsupported) as caught:
        run(refuse)
    assert caught.value.as_dict() == InputUnsupported("It is upside down.", hint="Turn it.").as_dict()


def test_a_defect_is_not_blamed_on_the_file() -> None:
    with pytest.raises(SrError, match="AttributeError") as caught:
        run(trip)
    assert caught.value.code == "INTERNAL"


@pytest.mark.parametrize("answer", [b"{", b"[]", b'{"kind": "result", "result": {"text": 1}}', b'{"kind": "error"}'])
def test_a_process_that_was_taken_over_says_nothing_that_is_believed(answer: bytes) -> None:
    def lie() -> Answer:
        # The pipe is the only thing that is left open.
        pipe = next(int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2 and _is_pipe(int(name)))
        os.write(pipe, answer)
        os._exit(0)

    with pytest.raises(InputInvalid, match="makes no sense"):
        run(lie)


def _is_pipe(handle: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{handle}").startswith("pipe:")
    except FileNotFoundError:
        return False


def test_it_can_write_no_file_and_has_none_of_the_programs_connections(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as open_one:

        def look() -> Answer:
            failed = []
            try:
                os.fstat(open_one.fileno())
            except OSError:
                failed.append("connection")
            try:
                (tmp_path / "file").write_bytes(b"x")
            except OSError:
                failed.append("file")
            failed += [f"core {limit}" for limit in resource.getrlimit(resource.RLIMIT_CORE)]
            return Answer(text=" ".join(failed))

        assert run(look).text == "connection file core 0 core 0"
        open_one.sendall(b"still here")


def test_the_limits_are_the_childs_alone_and_other_threads_do_not_matter(tmp_path: Path) -> None:
    before = [resource.getrlimit(which) for which in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)]
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert run(Answer).text == "read"
    finally:
        ended.set()
    after = [resource.getrlimit(which) for which in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)]
    assert after == before


def test_it_dies_with_the_program_that_asks(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    program = os.fork()
    if not program:

        def tell_and_die() -> None:
            while not (children := psutil.Process().children()):
                time.sleep(0.01)
            told.write_text(str(children[0].pid))
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=tell_and_die).start()
        confined(stand_still, Answer, tmp_path, ROOMY)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) == -signal.SIGKILL
    reader, until = int(told.read_text()), time.monotonic() + 120
    while _is_running(reader):
        assert time.monotonic() < until
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    "clip",
    [
        Clip(sound="aac", chapters=True, attachment=True),
        Clip(pix_fmt="yuv422p10le", codec="libx265", rotation=90, color_range=2),
        Clip(codec="ffv1", pix_fmt="gray", width=33, height=31),
    ],
    ids=["plain", "turned", "gray"],
)
def test_a_first_look_finds_what_looking_in_the_program_itself_finds(tmp_path: Path, clip: Clip) -> None:
    path = make(tmp_path / "clip.mkv", clip)
    bounds = bounds_for(path, max_pixels=7680 * 4320, task_bytes=4 << 30)
    found = first_look(path, bounds, max_pixels=7680 * 4320, max_duration_s=60)
    first = glance(path)
    assert found.media == probe(path)
    assert found.display_matrix == first.display_matrix
    assert found.lost == tuple(sorted(first.lost))
    fates = looking.plan_streams(path, found.media, ".mkv", "h264")
    assert planned_streams(path, bounds, found.media, ".mkv", "h264") == fates
    assert measured(path, bounds, found.media.video) == measure(path, found.media.video)


def test_a_first_look_refuses_what_looking_in_the_program_refuses(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mkv", frames=3, codec="ffv1")
    bounds = bounds_for(path, max_pixels=1 << 20, task_bytes=4 << 30)
    with pytest.raises(InputTooLarge, match="160x96, past the limit of 5 pixels"):
        first_look(path, bounds, max_pixels=5, max_duration_s=60)
    path.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/x.ts\n")
    with pytest.raises(InputInvalid, match="a playlist in disguise"):
        first_look(path, bounds, max_pixels=1 << 20, max_duration_s=60)


WEBP = {"lossy": ["-lossless", "0"], "lossless": ["-lossless", "1"], "one picture": ["-frames:v", "1"]}


@pytest.mark.parametrize("name", WEBP)
def test_a_webp_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    path = readers.ffmpeg(tmp_path / "a.webp", "-i", make(tmp_path / "clip.mkv", frames=3), *WEBP[name])
    with pytest.raises(InputInvalid, match="an animation in WebP, which FFmpeg does not read") as refused:
        first_look(path, ROOMY, max_pixels=1 << 20, max_duration_s=60)
    assert "Convert it to .gif" in str(refused.value.hint)


def test_a_decoder_that_crashes_on_the_first_frames_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make(tmp_path / "clip.mkv", frames=3)
    monkeypatch.setattr(looking, "glance", lambda *_, **__: crash())
    with pytest.raises(InputInvalid, match="SIGSEGV"):
        first_look(path, ROOMY, max_pixels=1 << 20, max_duration_s=60)


def test_the_largest_frames_allowed_can_be_looked_at_within_the_bounds(tmp_path: Path) -> None:
    side = 1080
    options = {"preset": "ultrafast", "refs": "16"}
    path = make(tmp_path / "large.mkv", frames=8, width=side, height=side, options=options)
    bounds = bounds_for(path, max_pixels=side * side, task_bytes=64 << 30)
    assert first_look(path, bounds, max_pixels=side * side, max_duration_s=60).media.video.frames == 8
