# The processes that touch no video: api-server, scheduler, dag-processor, triggerer. No torch, OpenVINO, FFmpeg, NumPy.
# docker build -f docker/airflow.Dockerfile -t video-sr-airflow:0.1.0 .

FROM python:3.11.15-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY docker/requirements-airflow.txt docker/requirements-cluster.txt /tmp/
RUN /opt/venv/bin/pip install -r /tmp/requirements-airflow.txt -r /tmp/requirements-cluster.txt \
    && /opt/venv/bin/pip check

FROM python:3.11.15-slim-bookworm
# git: Dags from a repository. tini: reaps children and passes signals on to the one process of a container.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git tini \
    && rm -rf /var/lib/apt/lists/*
# The ids are those of Airflow's own image, which its Helm chart counts on.
RUN useradd --uid 50000 --gid 0 --create-home --home-dir /opt/airflow --shell /bin/bash airflow \
    && install -d -o 50000 -g 0 -m 0770 /opt/airflow/logs /scratch /models
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE airflow.cfg /opt/sr/
# The chart's probes call /entrypoint too.
COPY --chmod=0755 docker/entrypoint.sh /entrypoint
COPY docker/healthcheck.sh docker/init.sh docker/make_buckets.py /opt/sr/docker/
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
EXPOSE 8080
HEALTHCHECK --interval=60s --timeout=40s --start-period=120s --retries=3 CMD ["sh", "/opt/sr/docker/healthcheck.sh"]
ENTRYPOINT ["tini", "--", "/entrypoint"]
CMD ["airflow", "version"]
