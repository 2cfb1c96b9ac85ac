"""The values for Airflow's Helm chart: keys that the chart has, workers that scale as meant, and no secret in sight."""

import configparser
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from tests.docker.chart_keys import DOCUMENTED
from tests.docker.dockerfiles import REPOSITORY

HELM = REPOSITORY / "docker/helm"
FILES = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(HELM.glob("values*.yaml"))}
BASE, GPU, PODS = FILES["values.yaml"], FILES["values-gpu.yaml"], FILES["values-kubernetes-executor.yaml"]
FREE = {key.removesuffix(".*") for key in DOCUMENTED if key.endswith(".*")}


def paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Every leaf's path in the chart's terms; members of a list have the list's own."""
    free = prefix in FREE
    if free:
        yield f"{prefix}.*"
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from paths(value, f"{prefix}.{key}".lstrip("."))
    elif isinstance(node, list) and any(isinstance(each, dict) for each in node):
        for each in node:
            yield from paths(each, prefix)
    else:
        yield prefix


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HELM / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", FILES)
def test_every_key_is_one_of_the_charts(name: str) -> None:
    assert set(paths(FILES[name])) - set(DOCUMENTED) == set()


def test_the_list_of_the_charts_keys_names_none_that_nobody_uses() -> None:
    assert set(DOCUMENTED) - {path for values in FILES.values() for path in paths(values)} == set()


def test_a_cluster_runs_airflow_as_one_machine_does() -> None:
    ours = configparser.ConfigParser(interpolation=None)
    ours.read(REPOSITORY / "airflow.cfg")
    of_one_machine = {
        ("core", "executor"),
        ("core", "parallelism"),
        ("core", "dags_folder"),
        ("core", "plugins_folder"),
    }
    of_one_machine |= {("api", "host")}
    for section in ours.sections():
        for key, value in ours[section].items():
            if (section, key) not in of_one_machine:
                assert str(BASE["config"].get(section, {}).get(key)) == value, f"[{section}] {key}"


def test_gpu_workers_start_from_none_and_are_as_many_as_the_pool_has_slots() -> None:
    keda = GPU["workers"]["celery"]["keda"]
    slots = next(each["value"] for each in BASE["migrateDatabaseJob"]["env"] if each["name"] == "SR_GPU_SLOTS")
    assert keda["enabled"] is True
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (0, int(slots))
    assert "queue = 'gpu'" in keda["query"]
    assert "'running'" in keda["query"], "a worker that computes must count as wanted"
    assert GPU["config"]["celery"]["worker_concurrency"] == 1, "one task a GPU; the query counts on it"


@pytest.mark.parametrize("values", [BASE, GPU], ids=["cpu", "gpu"])
def test_no_worker_is_taken_away_before_a_chunk_and_the_grace_to_stop_are_over(values: dict[str, Any]) -> None:
    worker = values["workers"]["celery"]
    assert worker["terminationGracePeriodSeconds"] >= 10 * Settings().chunk_target_s
    assert worker["keda"]["cooldownPeriod"] > worker["terminationGracePeriodSeconds"]


def test_the_gpu_release_is_workers_and_nothing_else() -> None:
    for part in ("scheduler", "apiServer", "dagProcessor", "triggerer", "statsd", "migrateDatabaseJob"):
        assert GPU[part]["enabled"] is False
    assert GPU["ingress"]["apiServer"]["enabled"] is False
    assert BASE["createUserJob"]["enabled"] is False
    assert GPU["workers"]["celery"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert GPU["images"]["airflow"]["repository"].endswith("worker-gpu")


def test_workers_serve_the_queue_that_they_are_counted_by() -> None:
    for values in (BASE, GPU):
        worker = values["workers"]["celery"]
        assert f"--queues {worker['queue']}" in worker["args"][-1]


def test_spot_nodes_are_tolerated_by_what_computes_and_by_nothing_else() -> None:
    keys = {each["key"] for each in GPU["workers"]["celery"]["tolerations"]}
    assert {"nvidia.com/gpu", "cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"} <= keys
    assert "tolerations" not in str(BASE)


def test_a_drained_node_never_takes_the_last_of_a_kind() -> None:
    for part in ("scheduler", "apiServer", "dagProcessor", "triggerer"):
        assert BASE[part]["podDisruptionBudget"] == {"enabled": True, "config": {"maxUnavailable": 1}}
        assert BASE[part]["replicas"] >= 2
    assert BASE["workers"]["celery"]["podDisruptionBudget"]["enabled"] is True


def test_the_settings_of_pods_are_ones_that_the_code_reads() -> None:
    given = {each["name"]: each["value"] for each in BASE["env"] if each["name"].startswith("SR_")}
    assert given.keys() <= {f"SR_{field.name.upper()}" for field in fields(Settings)}
    assert str(Settings.from_env(given).workdir) in {mount["mountPath"] for mount in BASE["volumeMounts"]}
    assert str(Settings.from_env(given).models_dir) in {mount["mountPath"] for mount in BASE["volumeMounts"]}


def test_every_secret_comes_from_the_vault_under_the_key_that_the_chart_reads() -> None:
    made = {
        each["spec"]["target"]["name"]: each["spec"]["data"][0]["secretKey"]
        for each in manifests("external-secrets.yaml")
    }
    assert made == {
        BASE["data"]["metadataSecretName"]: "connection",
        BASE["data"]["resultBackendSecretName"]: "connection",
        BASE["data"]["brokerUrlSecretName"]: "connection",
        BASE["fernetKeySecretName"]: "fernet-key",
        BASE["apiSecretKeySecretName"]: "api-secret-key",
        BASE["jwtSecretName"]: "jwt-secret",
        BASE["migrateDatabaseJob"]["extraVolumes"][0]["secret"]["secretName"]: "admin_password",
    }


@pytest.mark.parametrize("path", sorted(HELM.iterdir()), ids=lambda path: path.name)
def test_no_secret_is_written_into_a_manifest(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"://[^/\s:]+:[^@\s]+@|AKIA[A-Z0-9]{12}|(?i:password|token): *[\"']?\w{6}", text)


def test_claims_are_those_that_pods_mount_and_can_be_shared() -> None:
    claims = {each["metadata"]["name"]: each["spec"]["accessModes"] for each in manifests("volumes.yaml")}
    assert claims == {each["persistentVolumeClaim"]["claimName"]: ["ReadWriteMany"] for each in BASE["volumes"]}


def test_workers_may_call_stores_and_airflow_and_not_the_rest_of_the_network() -> None:
    (policy,) = manifests("network-policy.yaml")
    assert policy["spec"]["policyTypes"] == ["Egress"]
    wide = [rule for rule in policy["spec"]["egress"] if any("ipBlock" in peer for peer in rule["to"])]
    assert len(wide) == 1
    assert {port["port"] for port in wide[0]["ports"]} == {443}
    assert "169.254.0.0/16" in wide[0]["to"][0]["ipBlock"]["except"], (
        "the clouds' metadata would hand out the node's rights"
    )


def pod(task_id: str) -> SimpleNamespace:
    base = SimpleNamespace(name="base", image="cpu", resources=None)
    return SimpleNamespace(
        metadata=SimpleNamespace(annotations={"dag_id": "upscale_video", "task_id": task_id}),
        spec=SimpleNamespace(
            containers=[SimpleNamespace(name="sidecar", image="s"), base], node_selector=None, tolerations=None
        ),
    )


def test_the_tasks_that_get_a_gpu_are_tasks_of_the_dags() -> None:
    settings = PODS["airflowLocalSettings"]
    named = re.findall(r'\("(\w+)", "(\w+)"\)', settings[: settings.index("SPOT")])
    assert named
    for dag_id, task_id in named:
        assert f"def {task_id}(" in (REPOSITORY / f"dags/{dag_id}.py").read_text(encoding="utf-8")


@pytest.fixture
def mutated(monkeypatch: pytest.MonkeyPatch) -> Any:
    models = ModuleType("kubernetes.client.models")
    models.V1ResourceRequirements = models.V1Toleration = SimpleNamespace  # type: ignore[attr-defined]
    client = ModuleType("kubernetes.client")
    client.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubernetes", ModuleType("kubernetes"))
    monkeypatch.setitem(sys.modules, "kubernetes.client", client)
    monkeypatch.setitem(sys.modules, "kubernetes.client.models", models)
    settings: dict[str, Any] = {}
    exec(compile(PODS["airflowLocalSettings"], "airflow_local_settings.py", "exec"), settings)

    def mutate(task_id: str) -> SimpleNamespace:
        made = pod(task_id)
        settings["pod_mutation_hook"](made)
        return made

    return mutate


@pytest.mark.parametrize("task_id", ["prepare_model", "upscale"])
def test_pods_that_compute_get_a_gpu_its_image_and_its_nodes(mutated: Any, task_id: str) -> None:
    made = mutated(task_id)
    sidecar, base = made.spec.containers
    assert sidecar.image == "s"
    assert base.image.endswith("worker-gpu:0.1.0")
    assert base.resources.limits["nvidia.com/gpu"] == "1"
    assert made.spec.node_selector == GPU["workers"]["celery"]["nodeSelector"]
    assert {each.key for each in made.spec.tolerations} == {
        each["key"] for each in GPU["workers"]["celery"]["tolerations"]
    }


@pytest.mark.parametrize("task_id", ["validate", "assemble", "deliver"])
def test_pods_that_do_not_compute_stay_as_they_are(mutated: Any, task_id: str) -> None:
    made = mutated(task_id)
    assert made.spec.containers[1].image == "cpu"
    assert made.spec.tolerations is None


def test_no_template_of_helm_is_started_by_accident() -> None:
    for name in FILES:
        assert "{{" not in (HELM / name).read_text(encoding="utf-8")
