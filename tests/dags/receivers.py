"""Where alerts go in tests: a Slack webhook that takes what is posted, and a mail server that speaks SMTP."""

import json
import socket
import threading
from collections import Counter
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.ports import free_port


class Webhook:
    """A local HTTP server; `texts` are those of the messages it took. While `status` is not 200 it takes none."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = 200
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if webhook.status == 200:
                    webhook.texts.append(body["text"])
                self.send_response(webhook.status)
                self.end_headers()
                self.wfile.write(b"ok" if webhook.status == 200 else b"no_service")

            def log_message(self, *arguments: Any) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def connection(self) -> str:
        url = f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/secret-part"
        return json.dumps({"conn_type": "slackwebhook", "password": url})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Mailbox:
    """A local mail server; `mails` are those it took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port, ready_timeout=120.0)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        mail = BytesParser(policy=default).parsebytes(bytes(envelope.content or b""))
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"

    @property
    def connection(self) -> str:
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "sr@example.org", "retry_limit": 1}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self._port, "extra": extra})

    def stop(self) -> None:
        self._controller.stop()


class StatsD:
    """A local UDP port; `counters` are the sums of all that was counted on it so far, zeros left out."""

    def __init__(self) -> None:
        self._server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._server.bind(("127.0.0.1", 0))
        self._server.settimeout(120)
        self.port = int(self._server.getsockname()[1])
        self._counted: Counter[str] = Counter()

    def counters(self) -> dict[str, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"last", ("127.0.0.1", self.port))
        while (line := self._server.recv(4096).decode()) != "last":
            name, _, value = line.partition(":")
            if value.endswith("|c") and float(value[:-2]):
                self._counted[name] += int(float(value[:-2]))
        return dict(self._counted)

    def __enter__(self) -> "StatsD":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())
