#!/bin/sh
# Makes docker/secrets/: one file a secret, random, once. What is there stays, so it may be run again after an upgrade.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }
# Users in containers read the files, which Docker passes in as they are; the folder keeps everybody else out.
keep() {
    [ -e "secrets/$1" ] && return
    cat > "secrets/.$1"
    chmod 644 "secrets/.$1"
    mv "secrets/.$1" "secrets/$1"
}
value() { cat "secrets/$1"; }

random 24 | keep postgres_password
random 24 | keep celery_db_password
random 24 | keep rabbitmq_password
random 64 | keep jwt_secret
random 32 | keep api_secret_key
random 32 | keep fernet_key
random 15 | keep admin_password
random 15 | keep grafana_admin_password
random 15 | keep s3_access_key
random 30 | keep s3_secret_key

printf 'postgresql+psycopg2://airflow:%s@postgres/airflow' "$(value postgres_password)" | keep sql_alchemy_conn
printf 'db+postgresql+psycopg2://celery:%s@postgres/celery' "$(value celery_db_password)" | keep celery_result_backend
printf 'amqp://sr:%s@rabbitmq:5672//' "$(value rabbitmq_password)" | keep celery_broker_url
printf 'amqp://sr:%s@rabbitmq:5672/' "$(value rabbitmq_password)" | keep SR_AMQP_URL
printf 'default_user = sr\ndefault_pass = %s\n' "$(value rabbitmq_password)" | keep rabbitmq_user
access=$(value s3_access_key)
secret=$(value s3_secret_key)
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$access" "$secret" | keep aws_credentials
credentials=$(printf '[{"accessKey": "%s", "secretKey": "%s"}]' "$access" "$secret")
printf '{"identities": [{"name": "sr", "credentials": %s, "actions": ["Admin"]}]}\n' "$credentials" | keep s3_identities

# Whom alerts go to. Empty: nowhere. Write the real ones into the files.
printf '' | keep slack_webhook_url
printf '' | keep smtp_password
echo "The secrets are in $(pwd)/secrets. First login: admin, password in secrets/admin_password."
