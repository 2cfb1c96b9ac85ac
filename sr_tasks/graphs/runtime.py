"""What the graphs room asks of a backend, and what a backend gives. Protocols only; the backends live in inference."""

from typing import Protocol

from sr_tasks.planes.arrays import Plane, Planes, Window
from sr_tasks.records.cards import Precision
from sr_tasks.records.prepared import BackendName, PreparedModel

__all__ = ["Backend", "BackendName", "Plane", "Planes", "Precision", "Session", "Window"]


class Session(Protocol):
    """A prepared model, opened for frames of one size."""

    @property
    def output_shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each output plane."""

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """The enlarged planes of one frame: new arrays, or `out` after writing into it.

        `window` holds as many frames as the model's card says; of today's networks it holds the one frame to enlarge.
        As many callers as the session has streams may be inside at once; more wait. The result depends on `window`
        alone, to the byte. Contiguous planes are not copied. Raises UsageError for another number of frames and for
        planes of another size or type, ChunkFailed if the runtime breaks off.
        """

    def close(self) -> None:
        """Free what the session holds. A second call does nothing."""


class Backend(Protocol):
    """A runtime on a device."""

    @property
    def name(self) -> BackendName: ...

    @property
    def version(self) -> str: ...

    @property
    def device(self) -> str:
        """In words, e.g. the CPU's name."""

    @property
    def architecture(self) -> str:
        """What decides which code runs: family and instructions of a CPU; chip, driver and libraries of a GPU."""

    @property
    def compiles_ahead(self) -> bool:
        """Whether `open` keeps what it compiles, for one size of frames, beside the model's file."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those the device computes in by itself."""

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        """Make the model ready for luma of `width` x `height` and `streams` concurrent frames, one CPU thread each.

        Raises ModelRejected if the runtime does not take the file.
        """
