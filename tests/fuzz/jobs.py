"""One mutated file through a whole job in this process, and how that ended."""

import dataclasses
import os
import random
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import PHASES
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Event, PhaseStarted
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import SEEDS

_TARGETS = (".mkv", ".mp4", ".mov")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one job ended."""

    name: str
    is_fine: bool
    """Delivered, or refused in `validate` with exit code 3."""
    phase: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.phase}, {self.code or 'delivered'} {self.message}"


class _Phases:
    """Remembers the last phase that a job entered."""

    def __init__(self) -> None:
        self.last = ""

    def on_event(self, event: Event) -> None:
        if isinstance(event, PhaseStarted):
            self.last = event.phase


def file_of(number: int, seeds: dict[str, Path], folder: Path) -> tuple[Path, str]:
    """Mutated file `number`, and what was done to it. The same number always gives the same file."""
    seed = SEEDS[number % len(SEEDS)]
    whole = seeds[f"{seed.name}{seed.suffix}"]
    target = folder / f"{number}{seed.suffix}"
    return target, mutate(whole, target, random.Random(f"fuzz {number}"))


def run(number: int, seeds: dict[str, Path], folder: Path) -> Ending:
    """The whole job for mutated file `number`; nothing of it stays. `folder` may be used for many, one at a time."""
    source, mutation = file_of(number, seeds, folder)
    output = folder / f"{number}-out{random.Random(f'request {number}').choice(_TARGETS)}"
    seed = SEEDS[number % len(SEEDS)]
    try:
        ending = job(source, output, folder)
    finally:
        for path in folder.glob(f"{number}[.-]*"):
            path.unlink()
    return dataclasses.replace(ending, name=f"{number} {seed.name}{seed.suffix} ({mutation})")


def batch(numbers: range, seeds: dict[str, Path], folder: Path) -> list[Ending]:
    """Several mutated files, one after the other, without a word, in a folder of this process alone."""
    logger.remove()
    own = folder / f"worker-{os.getpid()}"
    own.mkdir()
    return [run(number, seeds, own) for number in numbers]


def job(source: Path, output: Path, folder: Path) -> Ending:
    """One job, with the gate on; what is doubtful is delivered, as nobody is asked."""
    settings = dataclasses.replace(
        Settings(), workdir=folder / "work", state_dir=folder / "state", precision="fp32", threads=2
    )
    spec = JobSpec(source=str(source), output=str(output), model="bicubic", preset="ultrafast", review="never")
    phases, code, message, is_fine = _Phases(), "", "", False
    try:
        pipeline.run(spec, "fuzz", settings, phases)
        is_fine = output.is_file()
    except SrError as exc:
        code, message = exc.code, exc.message
        is_fine = exc.exit_code == 3 and phases.last == PHASES["validate"]
    except Exception as exc:
        code, message = "INTERNAL", f"{type(exc).__name__}: {exc} {traceback.format_exc()}"
    finally:
        for name in ("jobs", "chunks", "rehearsed"):
            shutil.rmtree(folder / "work" / name, ignore_errors=True)
    return Ending(name=source.name, is_fine=is_fine, phase=phases.last, code=code, message=message)


def make_seeds(folder: Path) -> dict[str, Path]:
    """All whole files, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    return {f"{seed.name}{seed.suffix}": seed.make(folder) for seed in SEEDS}
