"""The streams of a rehearsal: the frames of one place are joined with all other streams, and what does not come out as
planned is planned otherwise."""

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from sr_tasks.errors import ContainerMismatch, DiskFull, OutOfMemory, RehearsalFailed, SrError
from sr_tasks.media.probe import probe
from sr_tasks.quality import integrity
from sr_tasks.records.assessment import Assessment
from sr_tasks.records.media import StreamPlan
from sr_tasks.steps.rehearsal_places import Made, Trial
from sr_tasks.streams.assemble import assemble


class Joining:
    """Joins a place. `assessment` is that of the last file that was joined and could be read, `stream_bytes` what its
    other streams take."""

    def __init__(self, trial: Trial, made: Made) -> None:
        self.assessment: Assessment | None = None
        self.stream_bytes = 0
        self._trial, self._made, self._source = trial, made, trial.source

    def settled(self) -> tuple[tuple[StreamPlan, ...], tuple[str, ...]]:
        """The plan of streams that comes out, and what had to be changed in it. Raises ContainerMismatch,
        RehearsalFailed."""
        planned = list(self._source.fates)
        why = self._wrong_with(planned)
        if not why:
            return tuple(planned), ()
        others = [row for row in planned if row.fate in ("kept", "converted") and row.output_index is not None]
        for row in others:
            without = _without(planned, [(row, why)])
            if not self._wrong_with(without):
                return tuple(without), (self._told(row, why),)
        culprits = [(row, why) for row in others]
        if not others or (still := self._wrong_with(_without(planned, culprits))):
            raise RehearsalFailed(
                f"A few frames of {self._trial.path.name} do not come out as planned. {still if others else why}",
                hint="Convert the source first (a remux to .mkv may do), or choose another output.",
            )
        for row in others:
            fewer = [(other, said) for other, said in culprits if other is not row]
            if not self._wrong_with(_without(planned, fewer)):
                culprits = fewer
        return tuple(_without(planned, culprits)), tuple(self._told(row, said) for row, said in culprits)

    def _told(self, row: StreamPlan, why: str) -> str:
        """Raises ContainerMismatch for the first sound, which nobody wants to lose."""
        name = f"Stream {row.source_index} ({row.type}, {row.codec})"
        first = next((other for other in self._source.fates if other.type == "audio"), None)
        if row is first:
            raise ContainerMismatch(
                f"{name} does not come out of a {self._source.suffix} file as it went in: {why}",
                hint="Choose an .mkv output." if self._source.suffix != ".mkv" else "Convert its sound first.",
            )
        return f"{name} is dropped: {why}"

    def _wrong_with(self, fates: Sequence[StreamPlan]) -> str:
        """Join, read and compare; why that is not as planned, empty if it is."""
        output = self._trial.scratch / f"joined{self._source.suffix}"
        try:
            assemble(
                self._trial.path, output, self._source.suffix, self._made.place.video, self._made.files, list(fates),
                self._source.display_matrix, self._source.media.picture.clock, self._source.hdr, self._trial.spec.strip,
            )  # fmt: skip
            return self._differences(output, tuple(fates))
        except (MemoryError, OutOfMemory, DiskFull):
            raise
        except SrError as exc:
            return exc.message
        except Exception as exc:
            logger.opt(exception=exc).debug("a rehearsal broke off")
            return f"{type(exc).__name__}: {exc}."
        finally:
            output.unlink(missing_ok=True)

    def _differences(self, output: Path, fates: tuple[StreamPlan, ...]) -> str:
        output_info = probe(output)
        self.stream_bytes = max(0, output.stat().st_size - sum(file.path.stat().st_size for file in self._made.files))
        found = self.assessment = self._trial.assessed(self._made, output, output_info)
        proof = integrity.check(
            self._trial.path, output, self._trial.media_of(self._made), output_info, size=self._trial.size,
            fates=fates, decode=found.decode, timing=found.timing,
        )  # fmt: skip
        return " ".join(f"{finding.check}: {finding.detail}." for finding in proof.findings if not finding.ok)


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
