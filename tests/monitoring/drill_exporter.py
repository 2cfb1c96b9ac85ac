"""The stand-in for statsd_exporter as a process of its own, so that it can be killed: MAPPING UDP_PORT TCP_PORT."""

import signal
import sys
from pathlib import Path

from tests.monitoring.exporter import MappingFile, exporter

if __name__ == "__main__":
    mapping, udp, tcp = sys.argv[1:]
    with exporter(MappingFile(Path(mapping)), (int(udp), int(tcp))):
        signal.pause()
