#!/bin/sh
# Runs once, when the database is made: a role and a database for Celery's results, so that a worker, which opens what
# strangers made, can reach nothing of Airflow's own.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$(cat "${SECRETS:-/run/secrets}/celery_db_password")" <<'SQL'
CREATE ROLE celery LOGIN PASSWORD :'password';
CREATE DATABASE celery OWNER celery;
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
SQL
