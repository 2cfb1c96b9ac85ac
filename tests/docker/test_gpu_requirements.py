"""The GPU wheels go together, and are what the image and the code count on."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from tests.docker.dockerfiles import REPOSITORY, stages
from tests.docker.test_images import pins

DOCKERFILE = REPOSITORY / "docker" / "worker-gpu.Dockerfile"
BACKEND = REPOSITORY / "sr_tasks" / "inference" / "backends" / "onnxruntime_gpu.py"


def requirements(path: Path) -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    found = [Requirement(line) for line in lines if line]
    return {each.name: each for each in found}


WANTED = requirements(REPOSITORY / "requirements-gpu.txt")


def pinned(name: str) -> Version:
    (only,) = WANTED[name].specifier
    assert only.operator == "==", f"{WANTED[name]} is not pinned"
    return Version(only.version)


def test_every_wheel_is_pinned() -> None:
    for name in WANTED:
        assert pinned(name)


def test_the_runtime_for_gpus_is_the_version_that_was_tested_on_cpus() -> None:
    assert str(pinned("onnxruntime-gpu")) == pins("requirements.txt")["onnxruntime"]
    assert WANTED["onnxruntime-gpu"].extras == {"cuda", "cudnn"}


def test_tensorrt_is_of_the_series_that_the_runtime_is_linked_against_and_of_one_version() -> None:
    versions = {pinned(name) for name in ("tensorrt-cu13", "tensorrt-cu13-libs", "tensorrt-cu13-bindings")}
    assert len(versions) == 1
    # onnxruntime-gpu 1.31 needs libnvinfer.so.10.
    assert pinned("onnxruntime-gpu").release[:2] == (1, 31)
    assert versions.pop().major == 10


def test_the_image_installs_just_these_and_says_the_versions_that_they_have() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    said = dict(re.findall(r"(CUDA|cuDNN|TensorRT) (\d+)", text))
    have = {"CUDA": "nvidia-cuda-runtime", "cuDNN": "nvidia-cudnn-cu13", "TensorRT": "tensorrt-cu13"}
    assert said == {what: str(pinned(name).major) for what, name in have.items()}
    packages = stages(DOCKERFILE)[0]
    assert "-r /tmp/requirements-gpu.txt" in packages.all("RUN")[-1].text
    assert any("requirements-gpu.txt" in copy.text for copy in packages.all("COPY"))
    assert any("PIP_EXTRA_INDEX_URL" in each.text for each in packages.all("ENV")), "TensorRT's wheels lie elsewhere"
    assert not re.search(r"(tensorrt|nvidia)[\w-]*[=<>]=", text), "versions stand in one place"


def test_what_an_engine_depends_on_is_pinned() -> None:
    (names,) = re.findall(r"_LIBRARIES = \((.*)\)", BACKEND.read_text(encoding="utf-8"))
    assert {name.strip(' "') for name in names.split(",")} <= WANTED.keys()


def test_no_wheel_is_of_another_cuda() -> None:
    for name in WANTED:
        assert not re.search(r"cu1[0-24-9]", name), name
    assert {pinned(name).major for name in WANTED if name.startswith("nvidia-cuda-")} == {13}
