"""`auto` chooses right: of the models that the shipped routes lead to it names the best, or one as good."""

from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from sr_tasks.config import Settings
from sr_tasks.media.degradation import measure_frames
from sr_tasks.media.sample import draw
from sr_tasks.planes.scaling import to_codes
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.registry.routing import Facts, Routing, load_routing
from sr_tasks.training.degrade import encoded, jpeg, noisy
from sr_tasks.training.downscale import downscale
from sr_tasks.training.evaluate import luma_psnr, photographs

Codes = NDArray[np.uint8]
SIDE = 336
TOLERANCE_DB = 0.1
RIGHT_SHARE = 0.95


def truths() -> Iterator[Codes]:
    """Photographs never trained on, and drawn pictures with text."""
    for plane in photographs().values():
        height, width = (min(SIDE, side // 8 * 8) for side in plane.shape)
        yield plane[:height, :width]
    for number in (0, 40):
        drawn = draw(number, SIDE, SIDE).astype(np.float64) @ (0.114, 0.587, 0.299)
        yield to_codes(drawn)


def degraded(clean: Codes, number: int) -> Iterator[Codes]:
    """The source clean, compressed and noisy; `number` moves the steps, so that pictures do not share theirs."""
    rng = np.random.default_rng(number)
    panned = [np.ascontiguousarray(np.roll(clean, (n, 2 * n), (0, 1))) for n in (-2, -1, 0)]
    shift = number % 3
    yield clean
    for crf in (18, 24, 30):
        yield encoded(panned, "libx264", {"crf": str(crf + 2 * shift), "preset": "medium"})[2]
    for quality in (30, 50, 70):
        yield jpeg(clean, quality + 7 * shift)
    for sigma in (1, 3, 7):
        yield noisy(clean, sigma + shift, rng)


class Network:
    """A registered network, run by ONNX Runtime, once or twice."""

    def __init__(self, entry: ModelEntry, scale: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(entry.read_weights(), options, providers=["CPUExecutionProvider"])
        self._entry = entry
        self._passes = entry.card.scales.index(scale) + 1

    def enlarged(self, source: Codes, level: float) -> NDArray[np.float64]:
        names = [given.name for given in self._session.get_inputs()]
        upscaled = (source / np.float32(255)).astype(np.float32)[None, None]
        for _ in range(self._passes):
            feed = {names[0]: upscaled}
            if self._entry.card.level is not None:
                feed[names[1]] = np.array([min(level, self._entry.card.level.max)], dtype=np.float32)
                level = 0.0
            upscaled = self._session.run(None, feed)[0].clip(0, 1)
        codes: NDArray[np.float64] = upscaled[0, 0].astype(np.float64) * 255
        return codes


def candidates(routing: Routing, scale: int) -> dict[str, Network]:
    """The networks of luma that routes for anybody lead to at this scale."""
    named = {routing.defaults[scale]}
    for route in routing.routes:
        if scale in (routing.reach(route).scale or ()) and route.when.tenant is None:
            named.add(route.model)
    entries = {name: Registry.of(Settings()).get(name) for name in sorted(named)}
    return {
        name: Network(entry, scale)
        for name, entry in entries.items()
        if entry.card.kind == "network" and entry.card.color == "luma"
    }


@pytest.mark.slow
def test_auto_names_the_best_model_or_one_as_good() -> None:
    routing = load_routing(Settings())
    results = [*results_at(2, routing), *results_at(4, routing)]
    assert np.mean(results) >= RIGHT_SHARE, f"{sum(results)} of {len(results)} are right"


def results_at(scale: int, routing: Routing) -> list[bool]:
    """Whether `auto` was right, for each picture and degradation."""
    networks = candidates(routing, scale)
    results: list[bool] = []
    for number, truth in enumerate(truths()):
        clean = to_codes(downscale(truth.astype(np.float64), "bicubic", scale))
        for source in degraded(clean, number):
            found = measure_frames([source])
            height, width = source.shape
            facts = Facts(scale=scale, content="any", tenant=None, degradation=found, width=width, height=height)
            psnr = {
                name: luma_psnr(network.enlarged(source, found.told), truth, crop=scale)
                for name, network in networks.items()
            }
            chosen, _ = routing.choose(facts)
            if chosen in psnr:
                results.append(bool(psnr[chosen] >= max(psnr.values()) - TOLERANCE_DB))
    return results
