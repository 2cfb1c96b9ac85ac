"""Glue between Airflow and the steps: params, error translation, the embedded stack. Contains no video work."""
