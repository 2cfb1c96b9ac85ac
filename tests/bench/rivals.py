"""What people do instead, on the same clip and encoder: the naive loop, and the recipe that goes through PNG files."""

import os
import time
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime as ort
from av.video.frame import VideoFrame

from sr_tasks.config import Settings
from sr_tasks.registry.registry import Registry
from tests.bench.setting import Bench, Table, median_of

_PNG_FRAMES = 48


def measure(bench: Bench, table: Table, rounds: int) -> None:
    ours, naive, png = median_of(rounds, bench.pipeline_fps, lambda: naive_fps(bench), lambda: png_fps(bench))
    table.add(
        "against the naive loop (RGB frames, onnxruntime, same network)",
        f"{ours:.1f} : {naive:.1f} fps = {ours / naive:.2f}x",
        ">= 1.9x",
        ours / naive >= 1.9,
    )
    table.add(
        "against the usual recipe (PNG files, torch, RGB, same width)",
        f"{ours:.1f} : {png:.1f} fps = {ours / png:.2f}x",
        ">= 3.5x",
        ours / png >= 3.5,
    )


def naive_fps(bench: Bench) -> float:
    """One thread of control: decode to RGB, luma through the network, chroma by cubic, to RGB, encode."""
    entry = Registry(Settings.from_env().models_dir).get(bench.prepared.name)
    network = ort.InferenceSession(entry.read_weights(), providers=["CPUExecutionProvider"])
    size = (bench.encode.width, bench.encode.height)
    writer = bench.writer("naive.nut", threads=len(os.sched_getaffinity(0)))
    started = time.perf_counter()
    count = 0
    with av.open(str(bench.clip)) as container:
        for frame in container.decode(video=0):
            ycc = cv2.cvtColor(frame.to_ndarray(format="rgb24"), cv2.COLOR_RGB2YCrCb)
            y = ycc[:, :, 0].astype(np.float32)[None, None] / 255.0
            upscaled = network.run(None, {network.get_inputs()[0].name: y})[0][0, 0]
            chroma = cv2.resize(ycc[:, :, 1:], size, interpolation=cv2.INTER_CUBIC)
            luma = (upscaled.clip(0, 1) * 255.0).round().astype(np.uint8)
            rgb = cv2.cvtColor(np.dstack([luma, chroma]), cv2.COLOR_YCrCb2RGB)
            output = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=bench.encode.pix_fmt)
            writer.write(output, frame.pts)
            count += 1
    writer.close()
    return count / (time.perf_counter() - started)


def png_fps(bench: Bench) -> float:
    """Extract PNG files, an RGB network of the same width in torch from file to file, encode the PNG files."""
    import torch

    network = _same_width()
    folder = bench.scratch / "png"
    folder.mkdir(exist_ok=True)
    started = time.perf_counter()
    stamps = []
    with av.open(str(bench.clip)) as container:
        for frame in container.decode(video=0):
            cv2.imwrite(str(folder / f"in{len(stamps)}.png"), frame.to_ndarray(format="bgr24"))
            stamps.append(frame.pts)
            if len(stamps) == _PNG_FRAMES:
                break
    with torch.inference_mode():
        for number in range(len(stamps)):
            _png_to_png(network, folder, number)
    writer = bench.writer("png.nut", threads=len(os.sched_getaffinity(0)))
    for number, pts in enumerate(stamps):
        picture = cv2.imread(str(folder / f"out{number}.png"))
        writer.write(VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=bench.encode.pix_fmt), pts)
    writer.close()
    return len(stamps) / (time.perf_counter() - started)


def _png_to_png(network: object, folder: Path, number: int) -> None:
    import torch

    picture = cv2.imread(str(folder / f"in{number}.png"))
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255.0
    result = network(tensor)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()  # type: ignore[operator]
    cv2.imwrite(str(folder / f"out{number}.png"), result)


def _same_width() -> object:
    import torch
    from torch import nn

    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1), nn.PReLU(16)]
    for _ in range(4):
        layers += [nn.Conv2d(16, 16, 3, padding=1), nn.PReLU(16)]
    layers += [nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2)]
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval()
