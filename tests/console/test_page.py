"""The page for people in a real browser, on a running Airflow: from a dropped file to the download."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sr_embedded import state

from tests import clips
from tests.airflow import browser
from tests.airflow.launcher import Launcher, states

pytestmark = [pytest.mark.airflow, pytest.mark.browser, browser.needs_chromium]

ROUTES = ("new", "jobs", "review", "models")
VIEWER = "vera"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    folder = tmp_path_factory.mktemp("page")
    users = f"admin:admin,{VIEWER}:viewer"
    launcher = Launcher(folder, AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=users, SR_STATE_DIR=str(folder / "state"))
    try:
        done = launcher.run("up")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0].endswith("/enhance/"), "the address of the page is said first"
        yield launcher
    finally:
        launcher.run("down")


@pytest.fixture(scope="module")
def driver(stack: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser past the login; what it downloads goes to `downloads` in its profile."""
    profile = tmp_path_factory.mktemp("profile")
    with browser.signed_in(stack, profile) as found:
        (profile / "downloads").mkdir()
        where = {"behavior": "allow", "downloadPath": str(profile / "downloads")}
        found.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        found.downloads = profile / "downloads"
        yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.make(tmp_path_factory.mktemp("clip") / "holiday.mp4", frames=12)


@pytest.fixture(scope="module")
def done(stack: Launcher, driver: Any, clip: Path) -> str:
    """A file that was dropped on the page and enlarged; the id of its job."""
    open_page(driver, stack, "new")
    drop(driver, clip)
    browser.until(driver, lambda b: "sent" in text(b, ".item .state"))
    browser.click(driver, "//label[contains(., 'Twice as sharp')]")
    driver.execute_script("document.querySelector('details').open = true")
    driver.execute_script(
        "const m = document.querySelector('[name=model]'); m.value = 'bicubic'; "
        "m.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    browser.click(driver, "//button[.='Start']")
    browser.until(driver, lambda b: "#/jobs/" in b.current_url)
    browser.until(driver, lambda b: text(b, ".status").startswith("Done"))
    return str(driver.current_url.rsplit("/", 1)[1])


def open_page(driver: Any, stack: Launcher, route: str) -> None:
    known = state.load(stack.home)
    assert known is not None
    driver.get("about:blank")
    driver.get(f"{known.url}/enhance/#/{route}")
    browser.until(driver, lambda b: b.find_elements("css selector", "main[data-ready]"))


def text(driver: Any, selector: str) -> str:
    return " ".join(one.text for one in driver.find_elements("css selector", selector))


def drop(driver: Any, path: Path) -> None:
    """Let the browser drop a file on the zone, as a person drags it there."""
    script = (
        "const input = Object.assign(document.createElement('input'), {type: 'file', id: 'dragged'}); "
        "input.onchange = () => { const data = new DataTransfer(); data.items.add(input.files[0]); "
        "document.querySelector('.zone').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true})); }; "
        "document.body.append(input)"
    )
    driver.execute_script(script)
    driver.find_element("id", "dragged").send_keys(str(path))
    driver.execute_script("document.getElementById('dragged').remove()")


def violations(driver: Any) -> list[str]:
    """What axe finds serious or critical on the page that is open."""
    driver.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text())
    found = driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in grave]


def test_a_dropped_file_is_enlarged_and_shown_before_and_after_and_downloaded(
    stack: Launcher, driver: Any, done: str, clip: Path
) -> None:
    open_page(driver, stack, f"jobs/{done}")
    assert text(driver, "h1") == "holiday.mp4"
    script = "return [...document.querySelectorAll('.compare video')].map(v => [v.videoWidth, v.videoHeight])"
    sizes = browser.until(
        driver, lambda b: len(found := b.execute_script(script)) == 2 and all(map(all, found)) and found
    )
    assert sizes == [[320, 192], [160, 96]], "after, and before in front of it"
    script = "return [...document.querySelectorAll('.compare video')].map(v => v.currentTime)"
    driver.execute_script(
        "const s = document.querySelector('.seek'); s.value = 0.2; s.dispatchEvent(new Event('input'))"
    )
    browser.until(driver, lambda b: b.execute_script(script) == [0.2, 0.2])
    browser.until(driver, lambda b: "Enlarged" in text(b, ".streams"))
    assert "Passed the quality gate" in text(driver, ".quality")
    browser.click(driver, "//a[.='Download']")
    output = browser.until(driver, lambda _: next(driver.downloads.glob("*.mp4"), None))
    assert len(clips.pts_of(output)) == 12


def test_the_list_shows_a_job_by_its_file_and_why_one_failed_in_a_sentence(
    stack: Launcher, driver: Any, done: str, tmp_path: Path
) -> None:
    zeros = tmp_path / "zeros.mp4"
    zeros.write_bytes(bytes(5000))
    stack.client().trigger("job-zeros", {"source": str(zeros)})
    open_page(driver, stack, "jobs")
    browser.until(driver, lambda b: "nothing but zeros" in text(b, ".job.failed .wrong"))
    assert text(driver, ".job.completed .name") == "holiday.mp4"
    assert "null" not in text(driver, ".job.completed")
    browser.until(driver, lambda b: b.find_elements("css selector", ".job.completed .tile img"))


def test_a_doubtful_output_is_approved_with_a_note(stack: Launcher, driver: Any, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    values = {"source": str(clip), "output": str(output), "model": "bicubic", "review": "always"}
    stack.client().trigger("job-doubtful", values)
    browser.until(driver, lambda _: states(stack.client(), "job-doubtful").get("review", ("",))[0] == "awaiting_input")
    open_page(driver, stack, "review")
    assert "request asks for a person's look" in text(driver, ".card")
    script = "return [...document.querySelectorAll('.card img')].filter(i => i.naturalWidth > 0).length"
    driver.execute_script("document.querySelectorAll('.card img').forEach(i => { i.loading = 'eager' })")
    browser.until(driver, lambda b: b.execute_script(script) >= 2)
    assert violations(driver) == []
    driver.find_element("id", "note-job-doubtful").send_keys("as meant")
    browser.click(driver, "//button[.='Approve']")
    browser.until(driver, lambda b: "Nothing waits" in text(b, ".empty"))
    manifest = Path(f"{output}.manifest.json")
    browser.until(driver, lambda _: manifest.exists())
    review = json.loads(manifest.read_text())["review"]
    assert (review["decision"], review["by"], review["note"]) == ("approved", "admin", "as meant")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_out_who_uses_a_keyboard_or_a_screen_reader(
    stack: Launcher, driver: Any, done: str, scheme: str
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        for route in (*ROUTES, f"jobs/{done}"):
            open_page(driver, stack, route)
            driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
            assert (route, violations(driver)) == (route, [])
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_no_page_is_wider_than_a_phone(stack: Launcher, driver: Any, done: str) -> None:
    phone = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        for route in (*ROUTES, f"jobs/{done}"):
            open_page(driver, stack, route)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= 400, route
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_airflows_own_page_has_it_in_a_frame(stack: Launcher, driver: Any) -> None:
    known = state.load(stack.home)
    assert known is not None
    driver.get(f"{known.url}/plugin/enhance")
    frame = browser.until(driver, lambda b: b.find_elements("css selector", "iframe"))[0]
    driver.switch_to.frame(frame)
    try:
        browser.until(driver, lambda b: text(b, "h1") == "New job")
    finally:
        driver.switch_to.default_content()


def test_a_viewer_sees_jobs_and_no_way_to_submit_one(stack: Launcher, done: str, tmp_path: Path) -> None:
    password = json.loads((stack.home / "simple_auth_manager_passwords.json.generated").read_text())[VIEWER]
    with browser.signed_in(stack, tmp_path / "profile", user=VIEWER, password=password, at="/enhance/#/new") as viewer:
        browser.until(viewer, lambda b: text(b, "h1") == "Jobs")
        browser.until(viewer, lambda b: "holiday.mp4" in text(b, ".job .name"))
        assert "New job" not in text(viewer, "nav")
        assert viewer.find_elements("css selector", ".item button") == []
        answer = viewer.execute_async_script(
            "fetch('api/v1/jobs', {method: 'POST', headers: {'Content-Type': 'application/json'}, "
            "body: JSON.stringify({source: '/film.mp4'})}).then(a => arguments[0](a.status))"
        )
        assert answer == 403
