"""A stand-in for statsd_exporter, which Debian and PyPI do not have: the mapping file by its published rules.

Globs whose `*` is one part between dots, the first mapping wins, `$n` in labels, `action: drop`; counters, gauges and
timers (milliseconds in, a histogram of seconds out). What the file holds beyond that is refused.
"""

import http.server
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_KEYS = {"match", "match_type", "action", "name", "labels", "ttl", "help", "observer_type", "histogram_options"}
_KINDS = {"c": "counter", "g": "gauge", "ms": "histogram"}


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """What a line of StatsD becomes."""

    name: str
    labels: Mapping[str, str]
    buckets: tuple[float, ...]


class MappingFile:
    """The mapping file. Raises ValueError for what statsd_exporter would not understand, or what this does not."""

    def __init__(self, path: Path) -> None:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if content.keys() != {"mappings"}:
            raise ValueError(f"{path} holds more than mappings")
        self.rows: list[dict[str, Any]] = content["mappings"]
        for row in self.rows:
            if unknown := row.keys() - _KEYS:
                raise ValueError(f"{row['match']}: {unknown}")
            if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", row["name"]):
                raise ValueError(f"{row['name']} is no name of a metric")
            if row.get("match_type") != "regex" and not re.fullmatch(r"[\w-]+(\.([\w-]+|\*))*", row["match"]):
                raise ValueError(f"{row['match']} is no pattern")

    def of(self, line_name: str) -> Mapped | None:
        """None for what is dropped. Raises KeyError for a name that no row matches, which would be let through."""
        for row in self.rows:
            if row.get("match_type") == "regex":
                found = re.search(row["match"], line_name)
            else:
                parts = (re.escape(part) if part != "*" else "([^.]*)" for part in row["match"].split("."))
                found = re.fullmatch(r"\.".join(parts), line_name)
            if found is None:
                continue
            if row.get("action") == "drop":
                return None
            labels = {key: found[int(value.removeprefix("$"))] for key, value in row.get("labels", {}).items()}
            buckets = tuple(row.get("histogram_options", {}).get("buckets", ()))
            return Mapped(name=row["name"], labels=labels, buckets=buckets)
        raise KeyError(line_name)

    def exported(self) -> dict[str, set[str]]:
        """Every metric that can come out, with the labels it carries (`le` aside)."""
        return {row["name"]: set(row.get("labels", {})) for row in self.rows if row.get("action") != "drop"}


class Store:
    """The figures so far, and how Prometheus reads them."""

    def __init__(self, mapping: MappingFile) -> None:
        self._mapping, self._lock = mapping, threading.Lock()
        self._values: dict[tuple[str, str], float] = {}
        self._kinds: dict[str, str] = {}

    def take(self, packet: str) -> None:
        with self._lock:
            for line in packet.splitlines():
                name, _, rest = line.partition(":")
                value, _, letter = rest.partition("|")
                if (mapped := self._mapping.of(name)) is not None:
                    self._add(mapped, float(value), _KINDS[letter])

    def _add(self, mapped: Mapped, value: float, kind: str) -> None:
        if self._kinds.setdefault(mapped.name, kind) != kind:
            raise ValueError(f"{mapped.name} is {self._kinds[mapped.name]} and {kind}")
        labels = [f'{key}="{text}"' for key, text in sorted(mapped.labels.items())]
        if kind == "gauge":
            self._values[mapped.name, ",".join(labels)] = value
            return
        steps: list[tuple[str, list[str], float]] = [(mapped.name, labels, value)]
        if kind == "histogram":
            seconds = value / 1000
            bounds = [*mapped.buckets, float("inf")]
            steps = [(f"{mapped.name}_bucket", [*labels, f'le="{_le(b)}"'], float(seconds <= b)) for b in bounds]
            steps += [(f"{mapped.name}_sum", labels, seconds), (f"{mapped.name}_count", labels, 1.0)]
        for name, named, step in steps:
            key = name, ",".join(named)
            self._values[key] = self._values.get(key, 0.0) + step

    def text(self) -> str:
        with self._lock:
            kinds = [f"# TYPE {name} {kind}" for name, kind in self._kinds.items()]
            rows = [f"{name}{{{labels}}} {value}" for (name, labels), value in sorted(self._values.items())]
        return "\n".join([*kinds, *rows, ""])


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


@contextmanager
def exporter(mapping: MappingFile, ports: tuple[int, int] = (0, 0)) -> Iterator[tuple[int, int]]:
    """Gives the UDP port that StatsD lines go to and the TCP port that Prometheus scrapes: any, or those asked for."""
    store = Store(mapping)

    class Lines(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            store.take(self.request[0].decode())

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(store.text().encode())

        def log_message(self, format: str, *args: object) -> None: ...

    with (
        socketserver.UDPServer(("127.0.0.1", ports[0]), Lines) as lines,
        http.server.ThreadingHTTPServer(("127.0.0.1", ports[1]), Page) as page,
    ):
        servers = (lines, page)
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
        for thread in threads:
            thread.start()
        yield lines.server_address[1], page.server_address[1]
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
