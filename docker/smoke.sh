#!/bin/sh
# On a machine with Docker: builds the images, starts everything, enlarges one clip through the REST API, compares what
# came out with what went in, and removes all of it again. Needs docker with compose, about 8 GB, and the ports of
# compose.yaml free; takes some minutes.
set -eu
cd "$(dirname "$0")"

export COMPOSE_PROJECT_NAME=video-sr-smoke
compose() { docker compose --file compose.yaml --env-file env.example "$@"; }
# In a worker, which has the library and the right to the buckets.
inside() { compose exec --no-TTY worker-cpu "$@"; }

ended() {
    status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then compose ps --all; compose logs --tail 40; fi
    compose down --volumes --timeout 60
    exit "$status"
}
trap ended EXIT
trap 'exit 130' INT TERM

sh make_secrets.sh
compose up --build --detach --wait --wait-timeout 900

inside python - <<'PY'
import os

import av
import boto3
import numpy as np

with av.open("/tmp/clip.mkv", "w") as clip:
    stream = clip.add_stream("ffv1", rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    columns = np.arange(160)[None, :, None]
    rows = np.arange(96)[:, None, None]
    for index in range(30):
        picture = np.concatenate([(columns + rows + 4 * index) % 256] * 3, axis=2).astype(np.uint8)
        clip.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    clip.mux(stream.encode(None))
boto3.client("s3", endpoint_url=os.environ["SR_S3_ENDPOINT_URL"]).upload_file("/tmp/clip.mkv", "videos", "smoke.mkv")
PY

api() {
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --request "$method" "http://127.0.0.1:8080$path" \
        --header 'Content-Type: application/json' "$@"
}
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

login=$(printf '{"username": "admin", "password": "%s"}' "$(cat secrets/admin_password)")
token=$(api POST /auth/token --data "$login" | field access_token)
api POST /api/v2/dags/upscale_video/dagRuns --header "Authorization: Bearer $token" --output /dev/null --data '{
    "logical_date": null, "dag_run_id": "smoke",
    "conf": {"source": "s3://videos/smoke.mkv", "output": "s3://enhanced/smoke.mkv", "scale": 2}}'

state=queued
for _ in $(seq 120); do
    state=$(api GET /api/v2/dags/upscale_video/dagRuns/smoke --header "Authorization: Bearer $token" | field state)
    case "$state" in success | failed) break ;; esac
    sleep 5
done
[ "$state" = success ] || { echo "The job ended as $state." >&2; exit 1; }

inside python -m sr_tasks verify s3://videos/smoke.mkv s3://enhanced/smoke.mkv
curl --silent --show-error --fail "http://127.0.0.1:9090/api/v1/query?query=up" | grep -q '"value":\[[0-9.]*,"1"\]'
echo "It works: one job through PostgreSQL, RabbitMQ, Celery and S3, and Prometheus sees it."
