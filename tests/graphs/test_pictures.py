"""Generated pictures: like photographs in what matters, always the same, and shrunk as image programs shrink."""

import numpy as np
import pytest
from PIL import Image

from sr_tasks.graphs.pictures import drawn_picture, natural_picture, shrunk


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrinking_is_pillows_antialiased_cubic(scale: int) -> None:
    picture = natural_picture(12 * scale, 17 * scale, seed=3)
    expected = Image.fromarray(picture.astype(np.float32)).resize((17, 12), Image.Resampling.BICUBIC)
    # Pillow leaves out what lies beyond the border, we repeat it.
    assert np.abs(shrunk(picture, scale) - np.asarray(expected))[2:-2, 2:-2].max() < 2e-3


def test_pictures_are_the_same_for_the_same_seed_alone() -> None:
    for draw in (natural_picture, drawn_picture):
        one, other = draw(40, 60, seed=1), draw(40, 60, seed=1)
        assert one.shape == (40, 60)
        assert np.array_equal(one, other)
        assert not np.array_equal(one, draw(40, 60, seed=2))
        assert one.min() >= 0.0
        assert one.max() <= 1.0


def test_power_of_natural_pictures_falls_with_frequency_as_in_photographs() -> None:
    power = np.mean([np.abs(np.fft.rfft2(natural_picture(128, 128, seed=n))) ** 2 for n in range(6)], axis=0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, np.newaxis], np.fft.rfftfreq(128)[np.newaxis])
    band = (frequency > 2 / 128) & (frequency < 0.2)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert -3.5 < slope < -1.5


def test_softer_pictures_have_less_detail() -> None:
    detail = [np.abs(np.diff(natural_picture(96, 96, seed=4, softness=n))).mean() for n in (0, 1, 2)]
    assert detail[0] > detail[1] > detail[2] > 0.005
