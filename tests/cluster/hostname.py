"""How a process of the cluster is called: by its service, as a container of Compose is. Airflow imports this."""

import os


def of_service() -> str:
    return os.environ["HOSTNAME"]
