"""Arrivals in Airflow: triggers that listen to queues, and how a task asks for runs of another Dag."""
