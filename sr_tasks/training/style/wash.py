"""The ink wash itself, as a slow classical filter: what the network is taught to do. Pure: pictures in, pictures out.

Patches of paint: the generalised Kuwahara filter of Papari, Petkov and Campisi (2007), as written down by Kyprianidis,
Kang and Doellner (2009). Tones and lines follow Winnemoeller's real-time video abstraction (2006). All three change
smoothly with the picture, so that a moving picture does not flicker.
"""

import math
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.training.style.recipe import FilterRecipe

Picture = NDArray[np.float32]
"""[rows, columns, 3] in R, G, B, 0..1."""
Tone = NDArray[np.float32]
"""[rows, columns] in 0..1."""

SECTORS: Final = 8
LUMA_601: Final = (0.299, 0.587, 0.114)
LINE_RATIO: Final = 1.6
"""Of the two Gaussians whose difference finds edges: the usual stand-in for a Laplacian."""
_BORDER: Final = cv2.BORDER_REPLICATE


def ink_wash(picture: Picture, recipe: FilterRecipe) -> Picture:
    """`picture` painted: of the same shape and range."""
    painted = patches(picture, recipe.radius, recipe.sharpness)
    tone = luma(painted)
    stepped = soft_steps(tone, recipe.tones, recipe.tone_sharpness)
    washed = painted + (recipe.tone_strength * (stepped - tone))[..., None]
    inked: Picture = np.clip(washed * (1 - lines(tone, recipe))[..., None], 0, 1).astype(np.float32)
    return inked


def luma(picture: Picture) -> Tone:
    weighted: Tone = picture @ np.array(LUMA_601, dtype=np.float32)
    return weighted


def patches(picture: Picture, radius: int, sharpness: float) -> Picture:
    """Each px becomes the mean of those sectors around it that vary least: edges stay, texture becomes paint."""
    squares = picture * picture
    total, weights = np.zeros_like(picture), np.zeros((*picture.shape[:2], 1), dtype=np.float32)
    for sector in _sectors(radius):
        mean, square = (np.asarray(cv2.filter2D(p, -1, sector, borderType=_BORDER)) for p in (picture, squares))
        variance = np.maximum((square - mean * mean).sum(axis=2, keepdims=True), 0)
        weight = 1 / (1 + (255 * np.sqrt(variance)) ** (sharpness / 2))
        total += weight * mean
        weights += weight
    painted: Picture = (total / weights).astype(np.float32)
    return painted


@lru_cache(maxsize=4)
def _sectors(radius: int) -> tuple[NDArray[np.float32], ...]:
    """Eight kernels [2 radius + 1, 2 radius + 1] of sum 1, soft sectors of a soft disc."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    angle, distance = np.arctan2(y, x), np.hypot(x, y)
    kernels = []
    for sector in range(SECTORS):
        away = np.angle(np.exp(1j * (angle - 2 * math.pi * sector / SECTORS)))
        share = ((np.abs(away) <= math.pi / SECTORS) & (distance <= radius + 0.5)).astype(np.float64)
        share[radius, radius] = 1 / SECTORS
        soft = cv2.GaussianBlur(share, (0, 0), radius / 4, borderType=cv2.BORDER_CONSTANT)
        soft *= np.exp(-(distance**2) / (2 * (radius / 2) ** 2))
        kernels.append((soft / soft.sum()).astype(np.float32))
    return tuple(kernels)


def soft_steps(tone: Tone, count: int, sharpness: float) -> Tone:
    """`tone` drawn towards `count` steps of 0..1; continuous, and 0 and 1 stay."""
    scaled = tone * count
    whole = np.floor(scaled)
    within = np.tanh(sharpness * (scaled - whole - 0.5)) / math.tanh(sharpness * 0.5)
    stepped: Tone = ((whole + 0.5 + 0.5 * within) / count).astype(np.float32)
    return stepped


def lines(tone: Tone, recipe: FilterRecipe) -> Tone:
    """How much ink lies on each px, 0..1: on the dark side of edges."""
    near = cv2.GaussianBlur(tone, (0, 0), recipe.line_sigma, borderType=_BORDER)
    far = cv2.GaussianBlur(tone, (0, 0), recipe.line_sigma * LINE_RATIO, borderType=_BORDER)
    edge = np.maximum(far - near - recipe.line_threshold, 0)
    ink: Tone = (recipe.line_strength * np.tanh(recipe.line_gain * edge)).astype(np.float32)
    return ink
