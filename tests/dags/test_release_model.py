"""The Dags of releases: their graphs and forms, and a release that runs through without a person."""

import sys
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from sr_airflow.params import release_params

from sr_tasks.release.request import ReleaseRequest
from tests.dags.interpreters import HEAVY, python


@pytest.fixture(scope="module")
def release_dag() -> Any:
    import release_model

    return release_model.release_model()


@pytest.fixture(scope="module")
def watch_dag() -> Any:
    import watch_releases

    return watch_releases.watch_releases()


class FakeRelease:
    """Stands in for the steps: notes each call."""

    def __init__(self, channel: str = "candidate") -> None:
        self.calls: list[str] = []
        self.channel = channel

    def module(self) -> SimpleNamespace:
        def step(name: str, answer: Any) -> Any:
            def run(*arguments: Any) -> Any:
                self.calls.append(name)
                return answer

            return run

        return SimpleNamespace(
            register=step("register", {"model": "net@2"}),
            optimise=step("optimise", {}),
            evaluate=step("evaluate", {}),
            compare_with_production=step("compare", {"report": "r.html"}),
            begin=step("begin", {"channel": self.channel, "share": 0.1, "shadow": 0.0}),
            outcome=step("outcome", "promote"),
            promote=step("promote", {}),
            roll_back=step("roll_back", {}),
        )


def fake(monkeypatch: pytest.MonkeyPatch, channel: str = "candidate") -> FakeRelease:
    steps = FakeRelease(channel)
    package = ModuleType("sr_tasks.steps")
    package.release = steps.module()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sr_tasks.steps", package)
    return steps


def test_the_graph_is_the_line_of_steps_and_two_ways_to_decide(release_dag: Any) -> None:
    assert {task.task_id: sorted(task.downstream_task_ids) for task in release_dag.tasks} == {
        "register": ["begin", "compare", "evaluate", "optimise", "settle", "watch"],
        "optimise": ["evaluate"],
        "evaluate": ["compare"],
        "compare": ["begin"],
        "begin": ["who_decides"],
        "who_decides": ["review", "watch"],
        "review": ["settle"],
        "watch": [],
        "settle": [],
    }


def test_a_person_is_asked_and_silence_is_no_promotion(release_dag: Any) -> None:
    review = release_dag.get_task("review")
    assert review.options == ["Promote", "Roll back"]
    assert review.defaults == ["Roll back"]
    assert review.response_timeout == timedelta(days=30)


def test_waiting_for_the_rule_takes_no_worker(release_dag: Any) -> None:
    assert release_dag.get_task("watch").mode == "reschedule"


def test_the_watch_runs_every_quarter_of_an_hour_one_at_a_time(watch_dag: Any) -> None:
    assert watch_dag.schedule == timedelta(minutes=15)
    assert watch_dag.max_active_runs == 1
    assert not watch_dag.catchup


def test_both_dags_say_what_they_are_and_retry(release_dag: Any, watch_dag: Any) -> None:
    for dag in (release_dag, watch_dag):
        assert dag.doc_md
        assert dag.tags
        assert dag.owner == "sr"
        assert all(task.retries == 3 for task in dag.tasks)


def test_the_form_is_the_release_request(release_dag: Any) -> None:
    fields = ReleaseRequest.model_json_schema()["properties"]
    assert list(release_dag.params) == list(fields)
    for name, field in fields.items():
        param = release_dag.params.get_param(name)
        assert (param.schema["title"], param.schema["section"]) == (field["title"], field["section"])


@pytest.mark.parametrize("values", [{"share": 1.5}, {"policy": "nobody"}, {"name": ""}, {"name": "../x"}])
def test_a_value_outside_the_schema_is_refused_by_the_form(values: dict[str, Any]) -> None:
    for name, value in values.items():
        with pytest.raises(ParamValidationError):
            release_params()[name].resolve(value)


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("channel", "end"), [("candidate", ["outcome"]), ("production", [])], ids=["watched", "first version"]
)
def test_a_release_left_to_the_rule_runs_to_its_end(
    channel: str, end: list[str], release_dag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    steps = fake(monkeypatch, channel)
    run = release_dag.test(run_conf={"name": "net", "version": "2", "policy": "auto"})
    assert run.state == "success"
    assert steps.calls == ["register", "optimise", "evaluate", "compare", "begin", *end]


def test_a_persons_answer_is_done_in_their_name(release_dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import release_model

    said: list[tuple[str, str]] = []
    steps = fake(monkeypatch).module()
    steps.promote = lambda model, by, settings: said.append(("promote", by)) or {}
    steps.roll_back = lambda model, by, settings: said.append(("roll back", by)) or {}
    sys.modules["sr_tasks.steps"].release = steps  # type: ignore[attr-defined]

    @contextmanager
    def running() -> Any:
        yield SimpleNamespace(settings=None)

    monkeypatch.setattr(release_model, "running_step", running)
    settle = release_dag.get_task("settle").python_callable
    settle("net@2", {"chosen_options": ["Promote"], "responded_by_user": {"id": "1", "name": "ann"}})
    settle("net@2", {"chosen_options": ["Roll back"], "responded_by_user": None})
    assert said == [("promote", "ann"), ("roll back", "time limit")]


@pytest.mark.parametrize("name", ["release_model", "watch_releases"])
def test_loading_a_dag_loads_nothing_heavy(name: str) -> None:
    assert python(f"import sys, {name}; print([name for name in {HEAVY} if name in sys.modules])") == "[]"
