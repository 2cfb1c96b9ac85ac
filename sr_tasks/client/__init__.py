"""A client for the REST API, for programs: `Client`, and `AsyncClient` for asyncio.

    with Client("http://localhost:8080", username="anna", password="...") as client:
        result = client.enhance("s3://archive/tape-1.mkv", scale=2)
        client.download(result, "tape-1_x2.mkv")

Errors are those of `sr_tasks.errors`: what a job failed with is raised by its own kind, and what the API refuses by
`ApiRefused` if the tree has no kind for it. Calls that the server could not answer for the moment are repeated.
"""

from sr_tasks.client.clients import AsyncClient, Client
from sr_tasks.client.talk import ApiRefused, Result

__all__ = ["ApiRefused", "AsyncClient", "Client", "Result"]
