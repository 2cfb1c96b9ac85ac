"""What a job that ended tells the instruments. What goes wrong here is logged, and the job ends as it would have."""

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.job import OutputRecord
from sr_tasks.records.media import MediaInfo
from sr_tasks.telemetry.guard import observes
from sr_tasks.telemetry.statsd import Instruments

UNKNOWN = "UNKNOWN"
"""The code of a job that left none: it was stopped, or killed."""


@observes
def job_done(job_id: str, settings: Settings) -> None:
    """For `report`: device time, playing time and cost. Never raises."""
    if not settings.statsd_host:
        return
    folder = JobFolder(settings.workdir, job_id)
    device_s = folder.load("output", OutputRecord).upscale_s
    output_s = folder.load("output_media", MediaInfo).duration_s
    with Instruments(settings) as instruments:
        instruments.job_charged(device_s=device_s, output_s=output_s, cost=device_s / 3600 * settings.device_hour_cost)


@observes
def job_failed(job_id: str, settings: Settings) -> None:
    """For `clean` after a failure: the code of the error that the job left. Never raises."""
    if not settings.statsd_host:
        return
    failure = JobFolder(settings.workdir, job_id).failure()
    with Instruments(settings) as instruments:
        instruments.job_failed(UNKNOWN if failure is None else failure.code)
