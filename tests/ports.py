"""Ports for servers that have to be told one: those that can choose for themselves are given 0."""

import random
import socket


def free_port() -> int:
    """A port of this machine that nobody listens at, from below those that the system hands out by itself.

    What connects to somewhere, or binds to 0, between this look and the server's start does not take it.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("No port is free on 127.0.0.1")
