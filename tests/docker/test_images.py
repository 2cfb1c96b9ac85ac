"""The images: what they are built from, as whom they run, and that they hold what their processes need and no more."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docker.dockerfiles import REPOSITORY, exec_form, sources, stages

DOCKERFILES = sorted((REPOSITORY / "docker").glob("*.Dockerfile"))
FULL_TAG = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?([.-][a-z0-9.-]+)?")
HEAVY = {"torch", "openvino", "onnxruntime", "onnx", "av", "numpy", "opencv-python-headless", "sympy"}

each_image = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def pins(name: str) -> dict[str, str]:
    found = {}
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line and not line.startswith("-r"):
            package, equals, version = line.partition("==")
            assert equals, f"{name}: {line!r} is not pinned"
            found[canonicalize_name(package)] = version
    return found


def test_there_is_an_image_for_each_role() -> None:
    assert [path.name for path in DOCKERFILES] == [
        "airflow.Dockerfile",
        "worker-cpu.Dockerfile",
        "worker-gpu.Dockerfile",
    ]


@each_image
def test_every_base_is_pinned_to_a_full_version(path: Path) -> None:
    for stage in stages(path):
        assert FULL_TAG.fullmatch(stage.base), stage.base
        assert stage.base.count(".") >= 2, f"{stage.base} moves with every patch"


@each_image
def test_an_image_runs_as_the_user_that_the_chart_expects_and_not_as_root(path: Path) -> None:
    final = stages(path)[-1]
    assert final.last("USER").text == "50000:0"
    at = [each.name for each in final.instructions]
    assert "RUN" not in at[at.index("USER") :], "nothing is changed after the user has been"


@each_image
def test_no_compiler_cache_or_build_stage_ends_up_in_an_image(path: Path) -> None:
    packages, final = stages(path)
    assert packages.name == "packages"
    assert "pip install" in packages.all("RUN")[-1].text
    assert "pip check" in packages.all("RUN")[-1].text
    assert not [run for run in final.all("RUN") if "pip" in run.text]
    assert all("rm -rf /var/lib/apt/lists/*" in run.text for run in final.all("RUN") if "apt-get" in run.text)


@each_image
def test_an_image_says_whether_it_is_healthy(path: Path) -> None:
    check = stages(path)[-1].last("HEALTHCHECK")
    assert check.text.startswith("CMD ")
    script = check.text.split('"')[3]
    assert script == "/opt/sr/docker/healthcheck.sh"
    assert {"interval", "timeout", "retries", "start-period"} <= check.flags.keys()


@each_image
def test_signals_reach_the_process_and_its_children_are_reaped(path: Path) -> None:
    final = stages(path)[-1]
    assert exec_form(final.last("ENTRYPOINT")) == ["tini", "--", "/entrypoint"]
    assert exec_form(final.last("CMD"))[0] == "airflow"
    assert [copy.flags["chmod"] for copy in final.all("COPY") if copy.text.endswith(" /entrypoint")] == ["0755"]


@each_image
def test_what_is_copied_exists_and_docker_may_see_it(path: Path) -> None:
    allowed = _allowed()
    for stage in stages(path):
        for copy in stage.all("COPY"):
            if copy.flags.get("from"):
                assert copy.flags["from"] in {each.name for each in stages(path)}
                continue
            for source in sources(copy):
                assert (REPOSITORY / source).exists(), source
                assert any(source == entry or source.startswith(entry + "/") for entry in allowed), source


def test_docker_sees_nothing_that_no_image_needs() -> None:
    lines = _ignore_lines()
    assert lines[0] == "*", "everything is left out but what is named"
    copied = {
        source
        for path in DOCKERFILES
        for stage in stages(path)
        for copy in stage.all("COPY")
        for source in sources(copy)
    }
    for entry in _allowed() - {"requirements.txt"}:
        assert entry in copied, f"{entry} is copied by no image"
    for secret in ("docker/secrets/jwt_secret", "docker/.env", ".git/config", ".airflow/secrets.json", "out/film.mkv"):
        assert not any(secret == entry or secret.startswith(entry + "/") for entry in _allowed()), secret
    assert any(fnmatch("sr_tasks/__pycache__", entry) for entry in lines)


@pytest.mark.parametrize("role", ["airflow", "worker"])
def test_the_pins_of_a_role_are_those_that_were_tested(role: str) -> None:
    tested, used = pins("requirements.txt"), pins(f"docker/requirements-{role}.txt")
    assert used
    assert {name: version for name, version in used.items() if tested.get(name) != version} == {}


def needed(names: Iterable[str]) -> set[str]:
    """What pip would install for these packages, going by what is installed here."""
    done: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        asked = todo.pop()
        key = (canonicalize_name(asked.name), frozenset(asked.extras))
        if key in done:
            continue
        done.add(key)
        for requirement in map(Requirement, importlib.metadata.requires(asked.name) or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *asked.extras}):
                todo.append(requirement)
    return {name for name, _ in done}


@pytest.mark.parametrize("role", ["airflow", "worker"])
def test_pip_finds_nothing_to_add_to_the_pins_of_a_role(role: str) -> None:
    used = pins(f"docker/requirements-{role}.txt").keys()
    assert needed(used) - used == set()


def test_a_worker_has_all_of_the_tested_set_but_torch_and_what_reads_weights_that_are_brought() -> None:
    left_out = pins("requirements.txt").keys() - pins("docker/requirements-worker.txt").keys()
    assert {"torch", "spandrel"} <= left_out
    assert left_out <= needed(["torch", "spandrel", "onnxscript"])


def test_the_image_of_the_control_plane_holds_no_model_runtime() -> None:
    assert not HEAVY & (pins("docker/requirements-airflow.txt").keys() | pins("docker/requirements-cluster.txt").keys())


def test_what_a_cluster_adds_contradicts_nothing() -> None:
    cluster, tested = pins("docker/requirements-cluster.txt"), pins("requirements.txt")
    assert {name for name in cluster.keys() & tested.keys() if cluster[name] != tested[name]} == set()
    assert {
        "celery",
        "psycopg2-binary",
        "apache-airflow-providers-fab",
        "apache-airflow-providers-celery",
    } <= cluster.keys()
    assert tuple(map(int, cluster["celery"].split(".")[:2])) < (5, 7), "the provider does not import with it"


def test_the_gpu_image_swaps_the_runtime_and_adds_no_other_cuda() -> None:
    install = stages(REPOSITORY / "docker/worker-gpu.Dockerfile")[0].all("RUN")[-1].text
    assert "grep -v '^onnxruntime=='" in install
    assert install.count("-r /tmp/requirements-gpu.txt") == 1
    final = stages(REPOSITORY / "docker/worker-gpu.Dockerfile")[-1]
    environment = " ".join(each.text for each in final.all("ENV"))
    assert re.search(r"NVIDIA_DRIVER_CAPABILITIES=\S*compute", environment)
    assert exec_form(final.last("CMD"))[-4:] == ["--queues", "gpu", "--concurrency", "1"]


def test_every_dag_and_the_plugin_import_with_nothing_but_the_control_planes_packages(tmp_path: Path) -> None:
    allowed = pins("docker/requirements-airflow.txt").keys() | pins("docker/requirements-cluster.txt").keys()
    answer = subprocess.run(
        [sys.executable, "-c", _IMPORTING, *sorted(allowed)],
        cwd=REPOSITORY,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": "plugins:.",
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
            "SR_REPO": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.strip().splitlines()[-1] == "all"


_IMPORTING = """
import importlib.metadata, importlib.util, pathlib, re, sys

allowed = set(sys.argv[1:])
owners = importlib.metadata.packages_distributions()
canonical = lambda name: re.sub(r"[-_.]+", "-", name).lower()

class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in owners and not {canonical(owner) for owner in owners[top]} & allowed:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)

sys.meta_path.insert(0, Absent())
try:
    import numpy
except ModuleNotFoundError:
    pass
else:
    sys.exit("the test keeps nothing out")
for path in ["plugins/sr_plugin.py", *map(str, sorted(pathlib.Path("dags").glob("*.py")))]:
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print("all")
"""


def _ignore_lines() -> list[str]:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _allowed() -> set[str]:
    return {line[1:] for line in _ignore_lines() if line.startswith("!")}
