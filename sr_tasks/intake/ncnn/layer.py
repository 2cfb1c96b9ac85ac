"""What the layers of ncnn are converted with: a line of the .param file, the graph to write, the weights to read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = dict[int, float | list[float]]
"""Parameters of a layer by their numbers."""


class Unsupported(Exception):
    """A layer that has no counterpart here. The text completes the sentence "it cannot be converted: ..."."""

    def __init__(self, why: str, hint: str = "Bring the .pth or .onnx file it was made of.") -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One line of a .param file."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Values
    line: int

    def number(self, key: int, default: float = 0.0) -> float:
        value = self.values.get(key, default)
        if isinstance(value, list):
            raise ValueError(f"parameter {key} is a list")
        return value

    def whole(self, key: int, default: int = 0) -> int:
        return int(self.number(key, default))

    def numbers(self, key: int) -> list[float]:
        value = self.values.get(key, [])
        return value if isinstance(value, list) else [value]


class Graph(Protocol):
    """What a layer writes its nodes into."""

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str: ...

    def constant(self, values: NDArray[Any] | np.float32) -> str: ...

    def fed(self, channels: int) -> None: ...


class Stored(Protocol):
    """The .bin file, read in the order of the layers."""

    def plain(self, count: int) -> NDArray[np.float32]: ...

    def flagged(self, count: int) -> NDArray[np.float32]: ...


Converter = Callable[[Graph, Stored, Layer, list[str]], str]
"""Adds the nodes of a layer; gives the name of its output. Raises Unsupported."""
