"""`python -m sr_embedded`: the launcher's commands. Owns the command line and the exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from sr_embedded.home import USER, HomeSettings, read_password
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.options import add_options, given


class Interrupted(BaseException):
    """A signal asked the launcher to end. Not an Exception, so that nothing but the way out handles it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 2 usage, 3 input refused, 4 quality refused, 5 other failure, 128 + signal."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        options = build_parser().parse_args(arguments)
        return _COMMANDS[options.command](options)
    except SrError as exc:
        _say(f"{exc.code}: {exc.message}")
        if exc.hint:
            _say(exc.hint)
        return exc.exit_code
    except Interrupted as exc:
        _say(f"Stopped by {exc}.")
        return 128 + exc.number


def _up(_options: argparse.Namespace) -> int:
    from sr_embedded import stack

    home = HomeSettings.from_env(os.environ)
    running = stack.up(home, Settings.from_env(), _say)
    url = running.state.url
    print(f"Open      {url}/enhance/\nAirflow   {url}\nuser      {USER}\npassword  {read_password(home.home)}")
    return 0


def _down(_options: argparse.Namespace) -> int:
    from sr_embedded import stack

    stopped = stack.down(HomeSettings.from_env(os.environ))
    print("Airflow is stopped." if stopped else "Airflow was not running.")
    return 0


def _status(_options: argparse.Namespace) -> int:
    from sr_embedded import stack

    running = stack.running(HomeSettings.from_env(os.environ))
    if running is None:
        print("Airflow is not running.")
        return 0
    client = running.client()
    try:
        jobs = client.active_runs()
    finally:
        client.close()
    print(f"Airflow runs at {running.state.url}\njobs      {', '.join(jobs) or 'none'}")
    return 0


def _enhance(options: argparse.Namespace) -> int:
    from sr_embedded import enhance

    return enhance.run(given(options), HomeSettings.from_env(os.environ), Settings.from_env(), _say)


_COMMANDS = {"up": _up, "down": _down, "status": _status, "enhance": _enhance}


def build_parser() -> argparse.ArgumentParser:
    """The parser of the launcher's command line."""
    parser = argparse.ArgumentParser(prog="python -m sr_embedded", description="Airflow on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start Airflow and leave it running")
    commands.add_parser("down", help="stop Airflow and every process of it")
    commands.add_parser("status", help="say whether Airflow runs and at what")
    job = commands.add_parser("enhance", help="enlarge one video through Airflow, started for it if need be")
    job.add_argument("source", nargs="?", help="video to enlarge (path or s3://...); a sample is made if left out")
    job.add_argument("output", nargs="?", help="where to put the result (default: beside the source)")
    add_options(job)
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the command; later ones may not disturb the clearing up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


if __name__ == "__main__":
    sys.exit(main())
