"""The Dag as a graph and a form: what is there, in which order, and what loading it costs."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from sr_airflow.params import job_params

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.jobs.status import PHASES, Status, from_airflow
from tests.dags.interpreters import HEAVY, python


def test_the_dags_folder_imports_without_errors() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(path.stem for path in (REPOSITORY / "dags").glob("*.py"))


def test_the_graph_is_the_line_of_steps_and_a_teardown(dag: Any) -> None:
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "admit": ["validate"],
        "validate": ["clean", "plan"],
        "plan": ["prepare_model", "upscale"],
        "prepare_model": ["upscale"],
        "upscale": ["assemble"],
        "assemble": ["assess"],
        "assess": ["gate"],
        "gate": ["deliver", "review"],
        "review": ["deliver"],
        "deliver": ["report"],
        "report": ["clean"],
        "clean": [],
    }


def test_every_task_has_a_phase_that_users_are_shown(dag: Any) -> None:
    assert {task.task_id for task in dag.tasks} == PHASES.keys()


@pytest.mark.parametrize(("report", "status"), [("success", Status.COMPLETED), ("skipped", Status.FAILED)])
def test_a_job_is_completed_only_once_its_report_is_there(report: str, status: Status) -> None:
    """Airflow calls a run a success whose tasks were all skipped, as they are when somebody stops it early."""
    assert from_airflow("success", [{"task_id": "report", "state": report}]).status is status


def test_only_upscale_waits_for_a_device(dag: Any) -> None:
    assert [task.task_id for task in dag.tasks if task.pool == "gpu"] == ["upscale"]
    assert dag.get_task("upscale").is_mapped


def test_a_job_that_waits_for_a_person_is_reviewing() -> None:
    """Airflow's state of a task that is parked for an answer."""
    done = [{"task_id": name, "state": "success"} for name in PHASES if name not in ("review", "deliver", "report")]
    tasks = [*done, {"task_id": "review", "state": "awaiting_input"}, {"task_id": "deliver", "state": None}]
    status = from_airflow("running", tasks)
    assert (status.status, status.phase) == (Status.PROCESSING, "reviewing")


@pytest.mark.parametrize("state", ["queued", "running", "deferred", "up_for_retry", "success"])
def test_a_job_that_waits_to_be_admitted_is_pending(state: str) -> None:
    """Airflow calls its run running, and parks its first task."""
    tasks = [{"task_id": name, "state": state if name == "admit" else None} for name in PHASES]
    status = from_airflow("running", tasks)
    assert (status.status, status.phase) == (Status.PENDING, "accepted")


def test_jobs_are_let_in_for_as_long_as_it_takes_and_wrong_limits_are_an_import_error(
    dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.admission import admit_task

    assert dag.get_task("admit").execution_timeout is None
    monkeypatch.setenv("SR_TENANT_LIMITS", "acme")
    with pytest.raises(UsageError, match="acme"):
        admit_task(Settings.from_env())


def test_nobody_is_waited_for_longer_than_the_settings_say(dag: Any) -> None:
    review = dag.get_task("review")
    assert (review.response_timeout, review.defaults) == (timedelta(hours=24), ["Reject"])


def test_clean_is_the_teardown_of_validate(dag: Any) -> None:
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["clean"]
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["validate"]


def test_every_task_is_retried_with_growing_delays(dag: Any) -> None:
    for task in dag.tasks:
        assert (task.retries, task.retry_delay, task.max_retry_delay) == (3, timedelta(seconds=5), timedelta(minutes=5))
        assert task.retry_exponential_backoff


def test_the_dag_says_what_it_is(dag: Any) -> None:
    assert dag.doc_md
    assert dag.tags
    assert dag.owner == "sr"
    assert dag.max_active_runs == 100
    assert dag.schedule is None


def test_the_params_are_the_fields_of_jobspec(dag: Any) -> None:
    fields = JobSpec.model_json_schema()["properties"]
    assert list(dag.params) == list(fields)
    for name, field in fields.items():
        param = dag.params.get_param(name)
        assert param.schema["title"] == field["title"], name
        assert param.schema["section"] == field["section"], name
        assert param.description == field["description"], name
        limits = field | {rule: value for choice in field.get("anyOf", ()) for rule, value in choice.items()}
        for rule in ("enum", "maxLength", "maximum"):
            assert param.schema.get(rule) == limits.get(rule), name
        if name != "source":
            assert param.value == field["default"], name
            assert param.schema.get("pattern") == limits.get("pattern"), name


def test_a_param_that_may_be_empty_keeps_its_limits(dag: Any) -> None:
    crf = dag.params.get_param("crf").schema
    assert (crf["type"], crf["minimum"], crf["maximum"]) == (["null", "integer"], 0, 63)


def test_the_form_asks_for_the_source_alone(dag: Any) -> None:
    """Airflow's form demands a value for every param that may not be null."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    empty = [name for name, param in params.items() if not param.has_value or param.value in ("", None)]
    assert [name for name in empty if "null" not in params[name].schema["type"]] == ["source"]


@pytest.mark.parametrize("values", [{"scale": 5}, {"source": "  "}, {"source": None}, {"crf": 64}, {"model": "../x"}])
def test_a_value_outside_the_schema_is_refused_by_the_form(values: dict[str, Any]) -> None:
    for name, value in values.items():
        with pytest.raises(ParamValidationError):
            job_params()[name].resolve(value)


@pytest.mark.parametrize(
    "values", [{"scale": 2}, {"source": "a b'\"ü.mp4"}, {"crf": None}, {"crf": 0}, {"model": "compact-x2@1"}]
)
def test_a_value_within_the_schema_is_accepted_by_the_form(values: dict[str, Any]) -> None:
    for name, value in values.items():
        assert job_params()[name].resolve(value) == value


def test_the_defaults_of_the_form_with_a_source_are_a_request() -> None:
    values = {name: param.value for name, param in job_params().items()}
    assert job_spec({**values, "source": "clip.mp4"}) == JobSpec(source="clip.mp4")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"scale": 5}, "scale=5"),
        ({"colour": "blue"}, "colour='blue'"),
        ({"codec": "ffv1", "crf": 20}, "crf=20"),
        ({"model": "../x"}, "model='../x'"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_the_name_of_its_field(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as refused:
        job_spec(values)
    assert named in refused.value.message


def test_loading_the_dag_loads_nothing_heavy() -> None:
    code = f"import sys, upscale_video; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]"


def test_loading_the_dag_touches_no_database_and_no_network() -> None:
    code = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('sqlite3.connect', 'socket.connect', 'socket.getaddrinfo'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(watch)\n"
        "import upscale_video\n"
        "print('loaded')"
    )
    assert python(code) == "loaded"


def test_the_plugin_loads_nothing_of_the_library() -> None:
    code = (
        "import sys, sr_plugin\n"
        "print([name for name in sys.modules if name.split('.')[0] "
        "in ('sr_tasks', 'sr_airflow', 'sr_console', 'sr_embedded', 'fastapi', 'statsd', 'loguru')])"
    )
    assert python(code) == "[]"


def test_airflow_finds_one_plugin_and_leaves_the_packages_beside_it_alone() -> None:
    code = (
        "import sys\n"
        "from airflow import plugins_manager\n"
        "plugins, errors = plugins_manager._get_plugins()\n"
        "print([p.name for p in plugins if str(getattr(p.source, 'path', '')).startswith('sr_')], errors,"
        " [n for n in sys.modules if n.startswith(('sr_airflow', 'sr_console', 'sr_embedded'))])"
    )
    assert python(code) == "['sr'] {} []"
