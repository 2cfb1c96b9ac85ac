#!/bin/sh
# Whether the Airflow process of this container does its work. Which one it is, the container's first process says.
set -eu

running=$(tr '\0' ' ' < "${SR_HEALTH_CMDLINE:-/proc/1/cmdline}")
case "$running" in
*api-server*)
    ask='import urllib.request; urllib.request.urlopen("http://127.0.0.1:8080/api/v2/version", timeout=10)'
    exec python -c "$ask" ;;
*"celery worker"*)
    exec celery --app airflow.providers.celery.executors.celery_executor.app \
        inspect --timeout 15 --destination "celery@$(hostname)" ping ;;
*dag-processor*) job=DagProcessorJob ;;
*scheduler*) job=SchedulerJob ;;
*triggerer*) job=TriggererJob ;;
*)
    echo "No health check is known for: $running" >&2
    exit 1 ;;
esac
exec airflow jobs check --job-type "$job" --local
