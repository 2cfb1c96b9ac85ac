"""The page at `/enhance/`: files of this package, sent as they are. Knows no job; the page asks the REST API."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from sr_tasks.config import Settings

FOLDER = Path(__file__).with_name("page")


def policy(store: str = "") -> str:
    """What the page may load: its own scripts, styles and pictures. Videos come from the object `store` too."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
        f"media-src 'self' blob: https: {store}".rstrip()
        + "; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


class Page(StaticFiles):
    """Asked for anew each time: after an upgrade no browser has half of the page before."""

    def file_response(self, *arguments: Any, **options: Any) -> Any:
        answer = super().file_response(*arguments, **options)
        answer.headers.update(
            {
                "Content-Security-Policy": policy(Settings.from_env().s3_endpoint_url or ""),
                "Cache-Control": "no-cache",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
            }
        )
        return answer


app = FastAPI(title="Enhance", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/", Page(directory=FOLDER, html=True))
