"""GitHub's workflows: pinned, with the least rights, and running what is here."""

import re
from typing import Any

import pytest
import yaml

from tests.docker.dockerfiles import REPOSITORY

WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
}
each_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_changes_one_for_images_and_one_for_releases() -> None:
    assert WORKFLOWS.keys() == {"ci.yml", "images.yml", "release.yml"}


@each_workflow
def test_actions_and_tools_are_pinned_to_full_versions(name: str) -> None:
    for step in steps(name):
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+\.\d+\.\d+", step["uses"]), step["uses"]
        for spec in re.findall(r"--spec (\S+)", step.get("run", "")):
            assert re.fullmatch(r"[\w-]+==[\d.]+", spec), spec


@each_workflow
def test_a_job_may_read_and_no_more_unless_it_says_so_and_ends_some_time(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["timeout-minutes"] <= 90
        assert job["runs-on"] == "ubuntu-24.04"


@each_workflow
def test_nothing_that_a_stranger_can_name_is_put_into_a_script(name: str) -> None:
    for step in steps(name):
        assert "${{" not in step.get("run", ""), "pass it through env: a branch can be called $(rm -rf .)"


@each_workflow
def test_every_file_that_a_step_runs_exists(name: str) -> None:
    for step in steps(name):
        for path in re.findall(r"(?:bash|sh) ([\w./-]+)", step.get("run", "")):
            assert (REPOSITORY / path).is_file(), path
        for path in re.findall(r"-r (\S+)", step.get("run", "")):
            assert (REPOSITORY / path).is_file(), path


def test_every_image_is_built_and_only_a_tag_is_published() -> None:
    build = WORKFLOWS["images.yml"]["jobs"]["build"]
    files = {path.name.removesuffix(".Dockerfile") for path in (REPOSITORY / "docker").glob("*.Dockerfile")}
    assert set(build["strategy"]["matrix"]["role"]) == files
    (push,) = [step["with"] for step in build["steps"] if "build-push" in step.get("uses", "")]
    assert push["push"] == "${{ github.ref_type == 'tag' }}"
    assert push["sbom"] is True
    assert push["provenance"]


def test_a_release_carries_its_changes_its_contents_and_no_known_hole() -> None:
    text = "\n".join(step.get("run", "") for step in steps("release.yml"))
    assert "CHANGELOG.md" in text
    assert "pip-audit" in text
    assert "sbom.cdx.json sbom-python.cdx.json" in text
    order = [step.get("name", "") for step in steps("release.yml")]
    assert order.index("Nothing with a known hole goes out") < order.index("Publish")


def test_the_changelog_has_a_section_for_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert version is not None
    assert f"\n## {version[1]}\n" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
