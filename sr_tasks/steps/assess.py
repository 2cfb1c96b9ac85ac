"""Step `assess`: measures the finished file against its source, pictures and everything else."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.quality.gallery import Gallery
from sr_tasks.quality.pictures import Album, encoded
from sr_tasks.records.assessment import Pictures
from sr_tasks.records.beside import BESIDE, PictureBeside, PicturesBeside
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import still
from sr_tasks.steps.shared.comparison import compare, figures
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage import failures
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.telemetry.progress import Observers, Progress, ProgressFile
from sr_tasks.telemetry.statsd import Instruments


@timed(Task.ASSESS)
def run(job_id: str, settings: Settings, observer: Progress | None = None) -> dict[str, Any]:
    """Leave `assessment`, `pictures`, `integrity` and `output_media` in the job folder,
    and the pictures that are to lie beside the output. Raises IntegrityBroken."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    output = folder.load("output", OutputRecord)
    gallery = Gallery(source.media.video) if spec.pictures_beside else None
    album = gallery or Album(source.media.video)
    file = ProgressFile(folder.path / "progress" / "assess.json")
    is_stylised = Registry.of(settings).get(source.model).card.kind == "style"
    if source.media.still is not None:
        assessment, proof, media = still.compare(source, Path(output.path), spec, album, is_stylised=is_stylised)
    else:
        assessment, proof, media = compare(
            Path(source.local_path),
            Path(output.path),
            source.media,
            spec.output_size(source.media.video),
            source.fates,
            frozenset(output.damaged_pts),
            settings,
            Observers([file, observer] if observer else [file]),
            album,
            is_stylised=is_stylised,
        )
    folder.store("pictures", Pictures(tuple(album.pairs())))
    if gallery is not None:
        folder.store("beside", _pictures_beside(gallery, spec, folder))
    folder.store("assessment", assessment)
    folder.store("integrity", proof)
    folder.store("output_media", media)
    with Instruments(settings) as instruments:
        instruments.quality_measured(source.model, assessment.psnr_mean, assessment.ssim_mean)
    return figures(assessment)


def _pictures_beside(gallery: Gallery, spec: JobSpec, folder: JobFolder) -> PicturesBeside:
    """Write what was asked for into the job's folder."""
    made: dict[str, PictureBeside] = {}
    for kind in spec.pictures_beside:
        frames, image = gallery.poster() if kind == "poster" else gallery.sheet()
        path = folder.path / BESIDE[kind]
        with failures.writing(path), replacing(path) as partial:
            partial.write_bytes(encoded(image, ".jpg"))
        made[kind] = PictureBeside(
            frames=tuple(frames),
            width=image.shape[1],
            height=image.shape[0],
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )
    return PicturesBeside(**made)
