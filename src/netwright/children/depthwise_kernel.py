"""The gradient of filters that each read one channel, on a CPU.

Compiled by Numba, so this module is imported only where that is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from netwright.children.machine_code import compiled


@compiled
def filter_gradient(maps: Any, gradient: Any, height: int, width: int) -> Any:
    """The derivative by the filters of a convolution of each channel by itself, with SAME padding and no stride.

    Of filter [i, j] it is the sum, over all places, of the gradient there times the map i - height // 2 rows below and
    j - width // 2 columns to the right. A row of a map lies in one piece, so such sums go along whole rows, whose
    channels repeat; they are added up by channels at the end.

    Args:
        maps: [images, rows, columns, channels], contiguous, float32 or the bits of bfloat16 as uint16.
        gradient: As ``maps``: by the result.
        height: Rows of a filter, an odd number.
        width: Columns of a filter, an odd number.

    Returns:
        float32 [height, width, channels].
    """
    images, rows, columns, channels = maps.shape
    length = columns * channels
    values, above = np.empty((rows, length), np.float32), np.empty((rows, length), np.float32)
    sums = np.zeros((height, width, length), np.float32)
    for n in range(images):
        _as_numbers(maps[n].reshape(rows, length), values)
        _as_numbers(gradient[n].reshape(rows, length), above)
        for i in range(height):
            down = i - height // 2
            for row in range(max(-down, 0), min(rows - down, rows)):
                for j in range(width):
                    right = (j - width // 2) * channels
                    first, last = max(-right, 0), min(length - right, length)
                    if first < last:
                        _add_products(
                            values[row + down, first + right : last + right],
                            above[row, first:last],
                            sums[i, j, first:last],
                        )
    result = np.zeros((height, width, channels), np.float32)
    for i in range(height):
        for j in range(width):
            for column in range(columns):
                for c in range(channels):
                    result[i, j, c] += sums[i, j, column * channels + c]
    return result


@compiled
def _as_numbers(stored: Any, values: Any) -> None:
    for r in range(len(stored)):
        source, target = stored[r], values[r]
        for k in range(np.uintp(len(target))):
            target[k] = number(source[k])


@compiled
def _add_products(a: Any, b: Any, sums: Any) -> None:
    for k in range(np.uintp(len(sums))):
        sums[k] += a[k] * b[k]


@intrinsic  # type: ignore[untyped-decorator]
def float_of(context: Any, bits: Any) -> Any:
    """The float32 of these 32 bits."""

    def same_bits(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), same_bits


def number(stored: Any) -> Any:
    """What a stored number is, as float32."""
    raise NotImplementedError


@overload(number, strict=False)  # type: ignore[untyped-decorator]
def _number(stored: Any) -> Any:
    if isinstance(stored, types.Float):
        return lambda stored: stored
    # The upper half of a float32 is a bfloat16.
    return lambda stored: float_of(np.uint32(np.uint32(stored) << np.uint32(16)))
