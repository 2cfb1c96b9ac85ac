# A Celery worker or a pod of the KubernetesExecutor that computes on the CPU, with OpenVINO and ONNX Runtime.
# docker build -f docker/worker-cpu.Dockerfile -t video-sr-worker-cpu:0.1.0 .
# Jobs need no torch. To bring weights in torch's formats through the Dag release_model, build it with
# --build-arg REQUIREMENTS=requirements.txt --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

FROM python:3.11.15-slim-bookworm AS packages
ARG REQUIREMENTS=docker/requirements-worker.txt
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY docker/requirements-cluster.txt /tmp/
COPY ${REQUIREMENTS} /tmp/requirements-worker.txt
RUN /opt/venv/bin/pip install -r /tmp/requirements-worker.txt -r /tmp/requirements-cluster.txt \
    && /opt/venv/bin/pip check

FROM python:3.11.15-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends git tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 50000 --gid 0 --create-home --home-dir /opt/airflow --shell /bin/bash airflow \
    && install -d -o 50000 -g 0 -m 0770 /opt/airflow/logs /scratch /models
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE airflow.cfg /opt/sr/
COPY --chmod=0755 docker/entrypoint.sh /entrypoint
COPY docker/healthcheck.sh docker/init.sh /opt/sr/docker/
COPY include/models /opt/sr/include/models
COPY dags /opt/sr/dags
COPY plugins /opt/sr/plugins
COPY sr_tasks /opt/sr/sr_tasks
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/sr:/opt/sr/plugins \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    SR_REPO=/opt/sr
WORKDIR /opt/airflow
USER 50000:0
# Celery ends what it runs before it stops. Give it more than a chunk takes: docker stop --time 600.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=40s --start-period=120s --retries=3 CMD ["sh", "/opt/sr/docker/healthcheck.sh"]
ENTRYPOINT ["tini", "--", "/entrypoint"]
CMD ["airflow", "celery", "worker", "--queues", "default", "--concurrency", "2"]
