"""Turns the usual forms of ONNX files into the registry's: float32, 0..1, RGB or luma, any size, a current opset."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import version_converter

from sr_tasks.errors import ModelInvalid, ModelRejected
from sr_tasks.graphs.form import OPSETS
from sr_tasks.intake import surgery
from sr_tasks.intake.canonical import Canonical
from sr_tasks.intake.proof import MAX_DEPARTURE, Run, departure, drawn, natural
from sr_tasks.intake.running import RUN_ERRORS, Picture, Runner
from sr_tasks.intake.tidy import parameters, tidied

_CONVERTED_OPSET = 17
_PROOF_PX = (48, 64)
_OTHER_PX = 24
"""By how much the second size, to prove that any will do, is larger."""
_SAME = 1e-4
"""ONNX Runtime may add up in another order where it knows no size."""
_SIMILAR = 0.05
"""Mean difference, of values in 0..1, that a patch may have in a larger picture for what surrounds it."""

_CLEARLY = 0.5
"""By what factor a less usual range must fit better. Without offsets a network does the same in any range; with those
of another range it is off by far more."""

_ATTENTION = frozenset({"MatMul", "Gemm", "Softmax", "LayerNormalization", "Einsum", "Attention"})


@dataclass(frozen=True, kw_only=True)
class _Range:
    """What a network takes and gives instead of 0..1."""

    given: float
    made: float


def convert_onnx(
    model: onnx.ModelProto,
    label: str,
    *,
    inputs: Mapping[str, float] = {},
    channel_order: Literal["rgb", "bgr"] = "rgb",
    value_range: Literal["auto", "1", "255"] = "auto",
    level: float = 0.0,
) -> Canonical:
    """The network in the registry's form, proved against ONNX Runtime's answer for the file as it was brought.

    `inputs` gives every input but the picture a constant value. `level` is the level that a network with such an input
    is run at here. Raises ModelInvalid for a graph that is not from one picture to one, ModelRejected if the result
    departs from it by more than MAX_DEPARTURE.
    """
    _refuse_what_cannot_be(model, label)
    if inputs:
        model = surgery.with_inputs_set(model, inputs, label)
    is_last = surgery.has_channels_last(surgery.picture_input(model.graph, label))
    plain = surgery.in_float32(_with_opset(model, label))
    if is_last:
        surgery.put_channels_first(plain)
    picture = surgery.picture_input(plain.graph, label)
    channels = surgery.channels(picture, label)
    static = surgery.static_size(picture)
    surgery.set_batch_of_one(plain.graph)
    rows, columns = static or _PROOF_PX
    brought = _opened(plain, label, level)
    scale = _scale(brought, channels, rows, columns, label)
    # A network that is told a level was made for this registry's form.
    wish = "1" if value_range == "auto" and surgery.is_told_level(model.graph) else value_range
    values = _range(brought, channels, scale, (rows, columns), wish, label)
    surgery.wrap(plain, given=values.given, made=values.made, is_bgr=channel_order == "bgr" and channels == 3)
    fixed = _fixed(plain, static, scale, channels, level)
    data = tidied(plain, scale=scale, channels=channels, fixed=fixed)
    is_bgr = channel_order == "bgr" and channels == 3
    original = _as_brought(model, values, level, label, is_bgr=is_bgr, is_last=is_last)
    pictures = [natural(channels, rows, columns), drawn(channels, rows, columns)]
    worst = departure(Runner(data, level=level), original, pictures, label)
    if worst > MAX_DEPARTURE:
        raise ModelRejected(
            f"{label} in the registry's form departs from the file by {255 * worst:.2f} 8-bit codes.",
            hint="Export it in float32 with opset 17 or later.",
        )
    is_local = not _ATTENTION & {node.op_type for node in plain.graph.node}
    return Canonical(
        data=data, architecture=_described(plain.graph), scale=scale, channels=channels, fixed=fixed, multiple=1,
        minimum=1, is_global=False, supports_half=True, supports_bfloat16=is_local, parameters=parameters(plain),
        departure=worst,
    )  # fmt: skip


def _refuse_what_cannot_be(model: onnx.ModelProto, label: str) -> None:
    graph = model.graph
    for tensor in surgery.tensors(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise _refused(label, f"it keeps {tensor.name!r} in another file", "Save it as one file.")
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in graph.node if node.domain not in ("", "ai.onnx")})
    if foreign or model.functions:
        what = foreign[0] if foreign else model.functions[0].name
        raise _refused(label, f"it uses the operator {what}, which is not standard", "Export it without extensions.")
    for node in graph.node:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise _refused(label, f"it uses the control flow operator {node.op_type}", "Export it without branches.")
    if len(graph.output) != 1:
        names = ", ".join(value.name for value in graph.output)
        raise _refused(label, f"it has {len(graph.output)} outputs ({names}), not one", "Keep the picture alone.")


def _with_opset(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """The model itself if its opset is known, else brought to another."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if opset not in OPSETS:
        try:
            copy = version_converter.convert_version(copy, _CONVERTED_OPSET)
        except (RuntimeError, ValueError) as exc:
            reason = str(exc).strip().splitlines()[0][:160] if str(exc).strip() else type(exc).__name__
            raise _refused(
                label, f"its opset is {opset} and cannot be made {_CONVERTED_OPSET} ({reason})", "Export it anew."
            ) from exc
    imports = [onnx.helper.make_opsetid("", opset if opset in OPSETS else _CONVERTED_OPSET)]
    del copy.opset_import[:]
    copy.opset_import.extend(imports)
    copy.ir_version = onnx.helper.find_min_ir_version_for(imports)
    surgery.drop_constant_inputs(copy.graph)
    return copy


def _opened(model: onnx.ModelProto, label: str, level: float) -> Runner:
    try:
        return Runner(model.SerializeToString(), level=level)
    except RUN_ERRORS as exc:
        raise _refused(label, f"ONNX Runtime does not take it ({_first_line(exc)})", "Export it again.") from exc


def _scale(run: Run, channels: int, rows: int, columns: int, label: str) -> int:
    try:
        shape = run(natural(channels, rows, columns)).shape
    except RUN_ERRORS as exc:
        raise _refused(label, f"it does not run at {columns}x{rows} ({_first_line(exc)})", "Export it again.") from exc
    scale = shape[2] // rows if len(shape) == 4 else 0
    if scale < 1 or shape != (1, channels, rows * scale, columns * scale):
        words = "x".join(str(size) for size in shape)
        raise _refused(
            label,
            f"it makes {words} of 1x{channels}x{rows}x{columns}, no whole multiple",
            "Bring one that keeps sides.",
        )
    return scale


def _range(
    run: Run, channels: int, scale: int, size: tuple[int, int], wish: Literal["auto", "1", "255"], label: str
) -> _Range:
    """0..1 or 0..255, in and out, tried on a known picture: made small again, the answer must look like it."""
    picture = natural(channels, *size)
    peaks = (1.0, 255.0) if wish == "auto" else (float(wish),)
    answers = {given: run(picture * np.float32(given)) for given in peaks}
    best, least = _Range(given=peaks[0], made=peaks[0]), math.inf
    for tried in sorted((_Range(given=given, made=made) for given in peaks for made in (1.0, 255.0)), key=_oddness):
        blocks = answers[tried.given].reshape(1, channels, size[0], scale, size[1], scale)
        small = blocks.mean(axis=(3, 5)) / np.float32(tried.made)
        error = float(np.abs(np.clip(small, -1.0, 2.0) - picture).mean())
        if not math.isfinite(error):
            raise ModelRejected(f"{label} gives what is no number.", hint="Its weights are damaged or not trained.")
        if error < _CLEARLY * least:
            best, least = tried, error
    return best


def _oddness(tried: _Range) -> tuple[bool, float]:
    """The usual first: the same range in and out, and 0..1 before 0..255."""
    return tried.given != tried.made, tried.given


def _fixed(
    model: onnx.ModelProto, static: tuple[int, int] | None, scale: int, channels: int, level: float
) -> tuple[int, int] | None:
    """None if the graph, with its sizes opened, does what it did at its own size and something like it at another."""
    if static is None:
        return None
    rows, columns = static
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    surgery.open_sizes(opened.graph)
    try:
        before = Runner(model.SerializeToString(), level=level)
        after = Runner(opened.SerializeToString(), level=level)
        picture = natural(channels, rows + _OTHER_PX, columns + 2 * _OTHER_PX)
        patch = np.ascontiguousarray(picture[..., _OTHER_PX:, 2 * _OTHER_PX :])
        large, small, same = after(picture), before(patch), after(patch)
    except RUN_ERRORS:
        return static
    if large.shape != (1, channels, picture.shape[2] * scale, picture.shape[3] * scale):
        return static
    inside = large[..., _OTHER_PX * scale :, 2 * _OTHER_PX * scale :]
    if np.abs(small - same).max() < _SAME and float(np.abs(inside - small).mean()) < _SIMILAR:
        surgery.open_sizes(model.graph)
        return None
    return static


def _as_brought(
    model: onnx.ModelProto, values: _Range, level: float, label: str, *, is_bgr: bool, is_last: bool
) -> Run:
    """The file itself behind the same call. One for several pictures at once is given the same one several times."""
    run = _opened(model, label, level)
    batch = surgery.static_batch(model.graph, label)

    def brought(picture: Picture) -> Picture:
        turned = picture[:, ::-1] if is_bgr else picture
        fed = np.repeat(turned * np.float32(values.given), batch, axis=0)
        fed = fed.transpose(0, 2, 3, 1) if is_last else fed
        answer: Picture = run(np.ascontiguousarray(fed))[:1] / np.float32(values.made)
        answer = answer.transpose(0, 3, 1, 2) if is_last else answer
        return answer[:, ::-1] if is_bgr else answer

    return brought


def _described(graph: onnx.GraphProto) -> str:
    counts: dict[str, int] = {}
    for node in graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return f"ONNX graph: {', '.join(_most(counts))}"


def _most(counts: dict[str, int]) -> Iterator[str]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    yield from (f"{count} {name}" for name, count in ranked[:5])
    if len(ranked) > 5:
        yield f"{sum(count for _, count in ranked[5:])} others"


def _refused(label: str, why: str, hint: str) -> ModelInvalid:
    return ModelInvalid(f"{label} cannot be used: {why}.", hint=hint)


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0][:200] if lines else type(exc).__name__
