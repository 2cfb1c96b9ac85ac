"""What a job that ended tells the instruments. What goes wrong here is logged, and the job ends as it would have."""

from collections.abc import Callable

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.job import OutputRecord
from sr_tasks.records.media import MediaInfo
from sr_tasks.telemetry.statsd import Instruments

UNKNOWN = "UNKNOWN"
"""The code of a job that left none: it was stopped, or killed."""


def job_done(job_id: str, settings: Settings) -> None:
    """For `report`: device time, playing time and cost. Never raises."""
    _guarded(_charge, job_id, settings)


def job_failed(job_id: str, settings: Settings) -> None:
    """For `clean` after a failure: the code of the error that the job left. Never raises."""
    _guarded(_blame, job_id, settings)


def _guarded(tell: Callable[[JobFolder, Settings, Instruments], None], job_id: str, settings: Settings) -> None:
    if not settings.statsd_host:
        return
    instruments = Instruments(settings)
    try:
        tell(JobFolder(settings.workdir, job_id), settings, instruments)
    except Exception as exc:
        logger.opt(exception=exc).warning("the job {} could not be metered: {}", job_id, exc)
    finally:
        instruments.close()


def _charge(folder: JobFolder, settings: Settings, instruments: Instruments) -> None:
    device_s = folder.load("output", OutputRecord).upscale_s
    instruments.job_charged(
        device_s=device_s,
        output_s=folder.load("output_media", MediaInfo).duration_s,
        cost=device_s / 3600 * settings.device_hour_cost,
    )


def _blame(folder: JobFolder, settings: Settings, instruments: Instruments) -> None:
    failure = folder.failure()
    instruments.job_failed(UNKNOWN if failure is None else failure.code)
