"""A cluster of PostgreSQL, RabbitMQ, an S3 server and Airflow with Celery, natively on this machine."""
