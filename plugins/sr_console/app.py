"""The REST API of jobs below `/enhance/api/v1`, for who may read, submit or change runs in Airflow. Loaded by the API
server at the first request."""

from fastapi import FastAPI

from sr_console import jobs, people, problems, results, system, tenants, uploads
from sr_console.guard import Guard
from sr_tasks import __version__

app = FastAPI(
    title="Video Super Resolution Enhancer",
    version=__version__,
    description="Jobs that enhance videos. Log in as for Airflow: `POST /auth/token`, then `Authorization: Bearer`.",
    docs_url=None,
    redoc_url=None,
    openapi_url="/openapi.json",
)
problems.install(app)
for routes in (jobs.router, people.router, results.router):
    app.include_router(routes, dependencies=[tenants.visible_jobs_only])
for routes in (system.router, uploads.router):
    app.include_router(routes)
app.add_middleware(Guard)
