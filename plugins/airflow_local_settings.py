"""Airflow's cluster policy: which jobs' tasks go first. Airflow imports it in each of its processes.

It runs inside the scheduler's transaction: it looks at what it is given alone, and nothing in it may raise.
"""

from typing import Any


def task_instance_mutation_hook(task_instance: Any, dag_run: Any = None) -> None:
    """Give the tasks of a job, of a video or a folder, the weight of its request; those of other Dags keep theirs."""
    from sr_tasks.jobs.status import FOLDER_DAG, JOB_DAG

    if dag_run is None or task_instance.dag_id not in (JOB_DAG, FOLDER_DAG):
        return
    from sr_airflow.fairness import weight

    task_instance.priority_weight = weight(dag_run.conf, dag_run.run_after)
