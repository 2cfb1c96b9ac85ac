"""The embedded Airflow for real: processes, jobs, refusals, cancelling, and what is left afterwards (nothing)."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sr_embedded import state
from sr_embedded.home import USER, read_password

from sr_tasks.client import Client
from tests import clips
from tests.airflow.launcher import Launcher, finished, long_clip, states

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """An Airflow that stays up, started by two launchers at once."""
    launcher = Launcher(tmp_path_factory.mktemp("stack"))
    started = [launcher.start("up"), launcher.start("up")]
    answers = [process.communicate(timeout=300) for process in started]
    try:
        assert [process.returncode for process in started] == [0, 0], answers
        assert answers[0][0] == answers[1][0], "both were told the same address and login"
        yield launcher
    finally:
        launcher.run("down")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.make(tmp_path / "a 'clip' $x.mp4", frames=30, sound="aac")


def _wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"{text!r} was never shown")


def _printed(output: str) -> dict[str, Path]:
    return {line.split(maxsplit=1)[0]: Path(line.split(maxsplit=1)[1]) for line in output.splitlines()}


@pytest.mark.parametrize("content", [None, b"", b"#EXTM3U\nfile:///etc/passwd\n"])
def test_bad_input_is_refused_before_anything_is_started(tmp_path: Path, content: bytes | None) -> None:
    launcher, source = Launcher(tmp_path), tmp_path / "clip.mp4"
    if content is not None:
        source.write_bytes(content)
    done = launcher.run("enhance", source)
    assert done.returncode == 3
    assert done.stderr.startswith("INPUT_")
    assert "Traceback" not in done.stderr
    assert not launcher.home.exists()
    assert not launcher.workdir.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--scale", "5"], "scale=5"), (["--crf", "high"], "'high'"), (["--codec", "ffv1", "--crf", "9"], "crf=9")],
)
def test_a_wrong_request_is_refused_as_usage(tmp_path: Path, clip: Path, arguments: list[str], named: str) -> None:
    launcher = Launcher(tmp_path)
    done = launcher.run("enhance", clip, *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not launcher.home.exists()


def test_secrets_are_made_once_and_readable_by_their_owner_alone(stack: Launcher) -> None:
    for name in ("secrets.json", "simple_auth_manager_passwords.json.generated"):
        assert (stack.home / name).stat().st_mode & 0o777 == 0o600, name
    assert json.loads((stack.home / "secrets.json").read_text())["AIRFLOW__API_AUTH__JWT_SECRET"]
    assert stack.home.stat().st_mode & 0o077 == 0


def test_airflow_listens_on_loopback_alone(stack: Launcher) -> None:
    listening = []
    for process in stack.processes(stack.session()):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child of a moment, gone since it was listed
            opened = process.net_connections("inet")
            listening += [one.laddr.ip for one in opened if one.status == psutil.CONN_LISTEN]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_a_job_through_a_running_airflow_delivers_and_leaves_it_running(stack: Launcher, clip: Path) -> None:
    done = stack.run("enhance", clip)
    assert done.returncode == 0, done.stderr
    files = _printed(done.stdout)
    assert list(files) == ["output", "report", "manifest"]
    assert all(path.stat().st_size > 0 for path in files.values())
    assert files["output"].parent == clip.parent
    assert len(clips.pts_of(files["output"])) == 30
    assert "COMPLETED" in done.stderr
    assert stack.run("status").stdout.startswith("Airflow runs at")


def test_a_program_enhances_a_video_over_http(stack: Launcher, clip: Path, tmp_path: Path) -> None:
    known = state.load(stack.home)
    assert known is not None
    http = httpx.Client(base_url=known.url, trust_env=False, timeout=120.0)
    output = tmp_path / "out.mp4"
    with Client(known.url, username=USER, password=read_password(stack.home), http=http) as client:
        result = client.enhance(str(clip), output=str(output), model="bicubic", preset="ultrafast")
        saved = client.download(result, tmp_path / "mine.mp4")
        events = http.get(f"/enhance/api/v1/jobs/{result.job.job_id}/events").text
    assert saved.read_bytes() == output.read_bytes()
    assert (result.job.model, result.job.created_by) == ("bicubic@1", USER)
    assert result.job.quality is not None
    assert result.job.quality.psnr_mean > 20
    assert events.count("event: job") == 1, "how it ended"


def test_two_jobs_begun_at_once_both_complete(stack: Launcher, clip: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    jobs = [stack.start("enhance", clip, output) for output in outputs]
    answers = [job.communicate(timeout=300) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], answers
    assert [len(clips.pts_of(output)) for output in outputs] == [30, 30]


_FILL = """
Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(arguments[0], arguments[1]);
arguments[0].dispatchEvent(new Event("input", {bubbles: true}));
"""


@pytest.mark.browser
@pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="Chromium is not installed")
def test_a_job_starts_from_the_form_in_a_browser_with_the_source_alone(
    stack: Launcher, clip: Path, tmp_path: Path
) -> None:
    from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    known = state.load(stack.home)
    assert known is not None
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-dev-shm-usage",  # containers have little of it
        "--window-size=1400,1100",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    with Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
        redrawn = (ElementClickInterceptedException, StaleElementReferenceException)  # while it was looked at
        wait = WebDriverWait(browser, 240, ignored_exceptions=redrawn)

        def click(xpath: str) -> None:
            def clicked(b: Any) -> bool:
                found = [e for e in b.find_elements(By.XPATH, xpath) if e.is_enabled() and e.is_displayed()]
                if found:
                    found[-1].click()
                return bool(found)

            wait.until(clicked)

        def filled(b: Any) -> bool:
            b.execute_script(_FILL, b.find_element(By.ID, "element_source"), str(clip))
            return True

        browser.get(f"{known.url}/auth/login")
        wait.until(lambda b: b.find_elements(By.NAME, "username"))
        browser.find_element(By.NAME, "username").send_keys("admin")
        browser.find_element(By.NAME, "password").send_keys(read_password(stack.home))
        click("//button[@type='submit']")
        wait.until(lambda b: "/auth/login" not in b.current_url)
        browser.get(f"{known.url}/dags/upscale_video")
        click("//button[contains(., 'Trigger')]")
        click("//button[contains(., 'Files')]")
        wait.until(filled)  # key by key, the page loses letters as it redraws
        click("//button[contains(., 'Trigger') and not(@disabled)]")
        wait.until(lambda b: "/runs/" in b.current_url)
    output = clip.with_name(clip.stem + "_x2.mp4")
    client = stack.client()
    while client.active_runs():  # later tests take the one that is active for theirs
        time.sleep(0.5)
    assert Path(f"{output}.report.html").exists(), "the job did not deliver"
    assert output.is_file()


def test_a_job_that_no_retry_can_help_fails_on_its_first_try(stack: Launcher, clip: Path) -> None:
    client, output = stack.client(), clip.with_name("there.mp4")
    output.write_bytes(b"mine")
    client.trigger("job-refused", {"source": str(clip), "output": str(output)})
    assert finished(client, "job-refused") == "failed"
    assert states(client, "job-refused")["validate"] == ("failed", 1)
    assert json.loads((stack.workdir / "jobs/job-refused/error.json").read_text())["code"] == "TARGET_EXISTS"
    assert output.read_bytes() == b"mine"


def test_a_task_that_is_killed_is_tried_again_and_the_job_completes(stack: Launcher, tmp_path: Path) -> None:
    process = stack.start("enhance", long_clip(tmp_path / "long.mp4"))
    _wait_for(process, "upscaling")
    client = stack.client()
    (job_id,) = client.active_runs()
    while states(client, job_id)["upscale"][0] != "running":
        time.sleep(0.1)
    (upscaling,) = [task for task in client.tasks(job_id) if task["task_id"] == "upscale"]
    psutil.Process(upscaling["pid"]).kill()
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert states(client, job_id)["upscale"] == ("success", 2)
    assert len(clips.pts_of(_printed(output)["output"])) == 400


def test_an_interrupt_cancels_the_job_and_leaves_no_output(stack: Launcher, tmp_path: Path) -> None:
    source = long_clip(tmp_path / "long.mp4")
    process = stack.start("enhance", source)
    _wait_for(process, "upscaling")
    client = stack.client()
    (job_id,) = client.active_runs()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert client.run_state(job_id) == "failed"
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    assert stack.run("status").stdout.splitlines()[1] == "jobs      none"


def test_a_job_without_a_running_airflow_starts_one_and_leaves_no_process(tmp_path: Path, clip: Path) -> None:
    launcher = Launcher(tmp_path)
    process = launcher.start("enhance", clip)
    _wait_for(process, "Job ")
    session = launcher.session()
    assert len(launcher.processes(session)) > 3
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert _printed(output)["output"].stat().st_size > 0
    assert launcher.processes(session) == []
    assert launcher.run("down").stdout == "Airflow was not running.\n"


def test_a_launcher_that_is_killed_takes_its_airflow_with_it(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    process = launcher.start("enhance", long_clip(tmp_path / "long.mp4"))
    _wait_for(process, "Job ")
    session = launcher.session()
    process.kill()
    process.communicate()
    while launcher.processes(session):
        time.sleep(0.2)
    assert state.load(launcher.home) is None


def test_down_clears_up_after_a_supervisor_that_was_killed(stack: Launcher) -> None:
    """The last test here: the stack is gone afterwards."""
    session = stack.session()
    before = stack.processes(session)
    psutil.Process(session).kill()
    psutil.wait_procs([process for process in before if process.pid == session], timeout=60)
    assert stack.run("status").stdout == "Airflow is not running.\n"
    stack.run("down")
    assert stack.processes(session) == []
    assert stack.run("down").stdout == "Airflow was not running.\n"
