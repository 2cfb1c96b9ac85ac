"""A collector for tests: OTLP over HTTP, by the standard library's server and the protocol's own protobuf classes."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(http.server.ThreadingHTTPServer):
    """Keeps every span that is posted to /v1/traces; `answer` is its status, unless it hangs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.calls, self.answer = 0, 200
        self._answers = threading.Event()
        self._answers.set()

    def hang(self) -> None:
        """Take calls and answer none of them until the end."""
        self._answers.clear()

    def go_on(self) -> None:
        self._answers.set()

    def wait(self) -> None:
        self._answers.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        self.server.wait()
        if self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.server.services |= {
                    pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"
                }
                self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.go_on()
    server.shutdown()
    thread.join()
    server.server_close()


def facts(span: Span) -> dict[str, object]:
    """Its name and its attributes."""
    values = {pair.key: (pair.value.string_value or pair.value.int_value) for pair in span.attributes}
    return {"name": span.name, **values}
