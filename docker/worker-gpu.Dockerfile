# A worker for NVIDIA GPUs. CUDA 13, cuDNN 9 and TensorRT 10 come as wheels (requirements-gpu.txt), so the base is the
# same small one; the machine brings the driver (580 or newer) and the NVIDIA Container Toolkit.
# docker build -f docker/worker-gpu.Dockerfile -t video-sr-worker-gpu:0.1.0 .

FROM python:3.11.15-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_EXTRA_INDEX_URL=https://pypi.nvidia.com
RUN python -m venv /opt/venv
COPY requirements-gpu.txt docker/requirements-worker.txt docker/requirements-cluster.txt /tmp/
# onnxruntime and onnxruntime-gpu fill the same folder, so only one of them may be installed.
RUN grep -v '^onnxruntime==' /tmp/requirements-worker.txt > /tmp/requirements-worker-gpu.txt \
    && /opt/venv/bin/pip install \
        -r /tmp/requirements-worker-gpu.txt -r /tmp/requirements-cluster.txt -r /tmp/requirements-gpu.txt \
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
# video: NVDEC and NVENC. compute: CUDA. utility: NVML and nvidia-smi.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/sr:/opt/sr/plugins \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    SR_REPO=/opt/sr \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
WORKDIR /opt/airflow
USER 50000:0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=40s --start-period=120s --retries=3 CMD ["sh", "/opt/sr/docker/healthcheck.sh"]
ENTRYPOINT ["tini", "--", "/entrypoint"]
# For one GPU. A worker of several takes as many tasks, each of which leases a GPU of its own.
CMD ["airflow", "celery", "worker", "--queues", "gpu", "--concurrency", "1"]
