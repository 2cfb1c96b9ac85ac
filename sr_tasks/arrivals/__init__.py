"""Arrivals: which files a deployment takes by itself, and the one job each of them is. Knows no Airflow."""
