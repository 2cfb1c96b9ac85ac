"""Glue between Airflow and the steps: params, error translation, admission, review, alerts. Contains no video work."""
