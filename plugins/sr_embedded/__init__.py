"""Airflow on this machine alone: starts it, stops it, and runs one job through it. Does no video work."""
