"""Codes of one bit depth as codes of another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.arrays import Plane


def of_depth(
    codes: NDArray[Any], bits: int, new_bits: int, *, is_full_range: bool = False, is_chroma: bool = False
) -> Plane:
    """Codes of `bits` as codes of `new_bits`, rounded half up and cut to what there is; whole or floating point codes.

    Of limited range a code is worth so many times the old one, exactly, as the standards say; of full range the highest
    code stays the highest one, and the middle of chroma stays the middle.
    """
    dtype: np.dtype[Any] = np.dtype(np.uint8) if new_bits == 8 else np.dtype(np.uint16)
    is_whole = np.issubdtype(codes.dtype, np.integer)
    if is_whole and bits == new_bits:
        return codes.astype(dtype, copy=False)
    if is_whole and new_bits > bits and not is_full_range:
        raised: Plane = np.left_shift(codes.astype(dtype), new_bits - bits, dtype=dtype)
        return raised
    value = codes.astype(np.float32)
    factor = (2**new_bits - 1) / (2**bits - 1) if is_full_range else 2.0 ** (new_bits - bits)
    if is_full_range and is_chroma:
        value = (value - 2 ** (bits - 1)) * np.float32(factor) + 2 ** (new_bits - 1)
    else:
        value = value * np.float32(factor)
    return _rounded(value, new_bits)


def to_limited_range(codes: NDArray[Any], bits: int, new_bits: int, *, is_chroma: bool = False) -> Plane:
    """Codes of full range with `bits` as codes of limited range with `new_bits`, rounded half up."""
    step = 2 ** (new_bits - 8)
    value = codes.astype(np.float32)
    if is_chroma:
        value = (value - 2 ** (bits - 1)) * np.float32(224 * step / (2**bits - 1)) + 128 * step
    else:
        value = value * np.float32(219 * step / (2**bits - 1)) + 16 * step
    return _rounded(value, new_bits)


def _rounded(value: NDArray[np.float32], bits: int) -> Plane:
    dtype: np.dtype[Any] = np.dtype(np.uint8) if bits == 8 else np.dtype(np.uint16)
    rounded: Plane = np.clip(np.floor(value + 0.5), 0, 2**bits - 1).astype(dtype)
    return rounded
