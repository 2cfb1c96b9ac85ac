"""The REST API of jobs and the page for people, inside Airflow's own API server. Reads job folders, deliveries and
Airflow's runs; changes go through Airflow's API."""
