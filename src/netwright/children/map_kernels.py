"""Loops over maps on a CPU: gradients of filters that each read one channel, normalisation with GELU, average pooling.

Compiled by Numba, so this module is imported only where that is installed. Maps are contiguous arrays [images, rows,
columns, channels] of float32, or of the bits of bfloat16 as uint16. A row of a map lies in one piece, and its channels
repeat, so loops go along whole rows: places in it, rather than channels, which are few. Rows are taken by their number,
counting up: where they are iterated over, or counted down, the compiled loop goes through one place at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from netwright.children.machine_code import compiled

NEAR = 4096
"""Numbers that stay in the nearest cache, of each of two arrays."""

HALF, ONE, QUARTER = np.float32(0.5), np.float32(1), np.float32(0.25)

# Phi(z), the normal distribution, and the derivative of GELU, z Phi(z), are one half and an odd function, which is the
# same to single precision from FAR on. Each odd function is z P(z^2) / Q(z^2) here: quotients fitted to the largest
# error between, which is below 4e-7 with the rounding. They take no branch, so go through several numbers at once.
FAR = np.float32(6)
PHI = tuple(np.float32(c) for c in (0.39894214, 0.036875676, 0.004862769, 0.00019912577, 6.513488e-06, 2.015583e-08))
UNDER_PHI = tuple(np.float32(c) for c in (1.0, 0.25909808, 0.030376114, 0.0020573298, 8.3075356e-05, 1.1331746e-06))
SLOPE = tuple(np.float32(c) for c in (0.7978846, -0.030753748, 0.0142098805, 2.3994466e-05, 3.584987e-05, 1.909217e-07))
UNDER_SLOPE = tuple(np.float32(c) for c in (1.0, 0.29479316, 0.041060872, 0.0035285503, 0.00019344172, 8.888457e-06))


@compiled
def filter_gradient(maps: Any, gradient: Any, height: int, width: int) -> Any:
    """The derivative by the filters of a convolution of each channel by itself, with SAME padding and no stride.

    Of filter [i, j] it is the sum, over all places, of the gradient there times the map i - height // 2 rows below and
    j - width // 2 columns to the right. Such sums go along whole rows, and are added up by channels at the end.

    Args:
        maps: [images, rows, columns, channels].
        gradient: As ``maps``: by the result.
        height: Rows of a filter, an odd number.
        width: Columns of a filter, an odd number.

    Returns:
        float32 [height, width, channels].
    """
    images, rows, columns, channels = maps.shape
    length = columns * channels
    at_a_time = min(max(NEAR // (rows * length), 1), images)
    values = np.empty(at_a_time * rows * length, np.float32)
    above, lines = np.empty_like(values), np.empty(at_a_time * rows, np.uintp)
    sums = np.zeros((height, width, length), np.float32)
    for n in range(0, images, at_a_time):
        some = min(at_a_time, images - n)
        _as_numbers(maps[n : n + some].reshape(-1), values)
        _as_numbers(gradient[n : n + some].reshape(-1), above)
        for i in range(height):
            down, count = i - height // 2, 0
            for m in range(some):
                for row in range(max(-down, 0), min(rows - down, rows)):
                    lines[count] = (m * rows + row) * length
                    count += 1
            for j in range(width):
                right = (j - width // 2) * channels
                first, last = max(-right, 0), min(length - right, length)
                if first < last:
                    _add_products(values, above, lines[:count], first, down * length + right, sums[i, j, first:last])
    result = np.empty((height, width, channels), np.float32)
    for i in range(height):
        for j in range(width):
            result[i, j] = _by_channel(sums[i, j], channels)
    return result


@compiled
def _as_numbers(kept: Any, values: Any) -> None:
    for k in range(np.uintp(len(kept))):
        values[k] = number(kept[k])


@compiled
def _add_products(values: Any, above: Any, lines: Any, first: int, apart: int, sums: Any) -> None:
    """Adds to ``sums`` the products of lines of ``above``, from ``first`` on, and what lies so far apart in ``values``.

    Four lines at a time, so that a sum is read and written once for four products.
    """
    count, g, v = len(lines), np.uintp(first), np.uintp(first + apart)
    for q in range(0, count - 3, 4):
        a, b, c, d = lines[q], lines[q + 1], lines[q + 2], lines[q + 3]
        for k in range(np.uintp(len(sums))):
            two = above[a + g + k] * values[a + v + k] + above[b + g + k] * values[b + v + k]
            sums[k] += two + (above[c + g + k] * values[c + v + k] + above[d + g + k] * values[d + v + k])
    for q in range(count - count % 4, count):
        a = lines[q]
        for k in range(np.uintp(len(sums))):
            sums[k] += above[a + g + k] * values[a + v + k]


@compiled
def normalised_gelu(
    maps: Any, weight: Any, bias: Any, eps: float, momentum: float, running_mean: Any, running_var: Any, out: Any
) -> Any:
    """Batch normalisation in training (Ioffe & Szegedy 2015), and the GELU of it.

    Args:
        maps: [images, rows, columns, channels].
        weight: float32 [channels], as are ``bias`` and the running numbers.
        bias: Added after the weight.
        eps: Added to the variance.
        momentum: The share of these maps in the running numbers.
        running_mean: Is brought up to date.
        running_var: Is brought up to date, with the unbiased variance.
        out: As ``maps``; is written.

    Returns:
        float32 [2, channels]: the means, and one over the root of the sum of variance and ``eps``.
    """
    images, rows, columns, channels = maps.shape
    count = images * rows * columns
    lines, results = maps.reshape(images * rows, columns * channels), out.reshape(images * rows, columns * channels)
    # Numbers are squared as their distance from a number near their mean, so that the variance keeps its digits.
    near = np.zeros(columns * channels, np.float32)
    for r in range(rows):
        line = lines[r]
        for k in range(np.uintp(len(near))):
            near[k] += number(line[k])
    near = _repeated(_by_channel(near, channels) / (rows * columns), columns)
    sums, squares = np.zeros_like(near), np.zeros_like(near)
    for r in range(len(lines)):
        line = lines[r]
        for k in range(np.uintp(len(near))):
            apart = number(line[k]) - near[k]
            sums[k] += apart
            squares[k] += apart * apart
    apart_by = _by_channel(sums, channels) / count
    variance = np.maximum(_by_channel(squares, channels) / count - apart_by * apart_by, 0)
    mean = near[:channels] + apart_by
    inverse = 1 / np.sqrt(variance + eps)
    for c in range(channels):
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_var[c] += momentum * (variance[c] * count / (count - 1) - running_var[c])
    scale, shift = _repeated(weight * inverse, columns), _repeated(bias - mean * weight * inverse, columns)
    for r in range(len(lines)):
        line, result = lines[r], results[r]
        for k in range(np.uintp(len(scale))):
            z = number(line[k]) * scale[k] + shift[k]
            result[k] = stored(z * (HALF + _odd(z, PHI, UNDER_PHI)), result[k])
    statistics = np.empty((2, channels), np.float32)
    statistics[0], statistics[1] = mean, inverse
    return statistics


@compiled
def normalised_gelu_back(maps: Any, gradient: Any, weight: Any, bias: Any, statistics: Any, out: Any) -> Any:
    """The derivatives of :func:`normalised_gelu`.

    Args:
        maps: What was normalised, [images, rows, columns, channels].
        gradient: As ``maps``: by the result.
        weight: float32 [channels].
        bias: float32 [channels].
        statistics: What :func:`normalised_gelu` returned.
        out: As ``maps``; the derivative by the maps is written to it.

    Returns:
        float32 [2, channels]: by the weight and by the bias.
    """
    images, rows, columns, channels = maps.shape
    count, length = images * rows * columns, columns * channels
    lines, results = maps.reshape(images * rows, length), out.reshape(images * rows, length)
    above = gradient.reshape(images * rows, length)
    inverse, offset = _repeated(statistics[1], columns), _repeated(statistics[0] * statistics[1], columns)
    scale, shift = _repeated(weight, columns), _repeated(bias, columns)
    by_weight, by_bias = np.zeros_like(scale), np.zeros_like(scale)
    for r in range(len(lines)):
        line, come, result = lines[r], above[r], results[r]
        for k in range(np.uintp(length)):
            normal = number(line[k]) * inverse[k] - offset[k]
            slope = HALF + _odd(normal * scale[k] + shift[k], SLOPE, UNDER_SLOPE)
            by_normed = number(come[k]) * slope
            result[k] = stored(by_normed, result[k])
            by_weight[k] += by_normed * normal
            by_bias[k] += by_normed
    gradients = np.empty((2, channels), np.float32)
    gradients[0], gradients[1] = _by_channel(by_weight, channels), _by_channel(by_bias, channels)
    by_weight, by_bias = _repeated(gradients[0] / count, columns), _repeated(gradients[1] / count, columns)
    for k in range(length):
        scale[k] *= inverse[k]
    for r in range(len(lines)):
        line, result = lines[r], results[r]
        for k in range(np.uintp(length)):
            normal = number(line[k]) * inverse[k] - offset[k]
            by_map = scale[k] * (number(result[k]) - by_bias[k] - normal * by_weight[k])
            result[k] = stored(by_map, result[k])
    return gradients


@compiled
def average_of_four(maps: Any, out: Any) -> None:
    """Average pooling of 2x2 pixels; at an odd edge, of those that there are.

    Args:
        maps: [images, rows, columns, channels].
        out: [images, ceil(rows / 2), ceil(columns / 2), channels]; is written.
    """
    images, rows, columns, channels = maps.shape
    length, across = np.uintp(columns * channels), np.uintp(channels)
    numbers, results, sums = maps.reshape(-1), out.reshape(-1), np.empty(length, np.float32)
    to = np.uintp(0)
    for n in range(images):
        for row in range(0, rows, 2):
            upper = np.uintp(n * rows + row) * length
            lower = np.uintp(n * rows + min(row + 1, rows - 1)) * length  # the last row twice at an odd edge
            for k in range(length):
                sums[k] = number(numbers[upper + k]) + number(numbers[lower + k])
            for column in range(0, columns, 2):
                left, right = np.uintp(column) * across, np.uintp(min(column + 1, columns - 1)) * across
                for c in range(across):
                    results[to + c] = stored(QUARTER * (sums[left + c] + sums[right + c]), results[to + c])
                to += across


@compiled
def average_of_four_back(gradient: Any, out: Any) -> None:
    """The derivative of :func:`average_of_four`.

    Args:
        gradient: By the result, [images, ceil(rows / 2), ceil(columns / 2), channels].
        out: [images, rows, columns, channels]; is written.
    """
    images, rows, columns, channels = out.shape
    length, across = np.uintp(columns * channels), np.uintp(channels)
    numbers, results, shares = gradient.reshape(-1), out.reshape(-1), np.empty(length, np.float32)
    come = np.uintp(0)
    for n in range(images):
        for row in range(0, rows, 2):
            tall = min(2, rows - row)
            for column in range(0, columns, 2):
                wide = min(2, columns - column)
                share = ONE / np.float32(tall * wide)
                left, right = np.uintp(column) * across, np.uintp(column + wide - 1) * across
                for c in range(across):
                    shares[left + c] = shares[right + c] = share * number(numbers[come + c])
                come += across
            for i in range(row, row + tall):
                to = np.uintp(n * rows + i) * length
                for k in range(length):
                    results[to + k] = stored(shares[k], results[to + k])


@compiled
def _by_channel(by_place: Any, channels: int) -> Any:
    """The sums over a row's pixels, float64 [channels]."""
    sums = np.zeros(channels, np.float64)
    for first in range(0, len(by_place), channels):
        for c in range(channels):
            sums[c] += by_place[first + c]
    return sums


@compiled
def _repeated(by_channel: Any, columns: int) -> Any:
    """For each pixel of a row the numbers of its channels, float32."""
    channels = len(by_channel)
    by_place = np.empty(columns * channels, np.float32)
    for k in range(len(by_place)):
        by_place[k] = by_channel[k % channels]
    return by_place


@njit(inline="always")  # type: ignore[untyped-decorator]
def _odd(z: Any, p: Any, q: Any) -> Any:
    """The odd function z P(z^2) / Q(z^2), with the coefficients from the lowest on, and the same from FAR on."""
    if z > FAR:
        z = FAR
    if z < -FAR:
        z = -FAR
    s = z * z
    above = ((((p[5] * s + p[4]) * s + p[3]) * s + p[2]) * s + p[1]) * s + p[0]
    below = ((((q[5] * s + q[4]) * s + q[3]) * s + q[2]) * s + q[1]) * s + q[0]
    return z * above / below


@intrinsic  # type: ignore[untyped-decorator]
def float_of(context: Any, bits: Any) -> Any:
    """The float32 of these 32 bits."""

    def same_bits(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), same_bits


def number(kept: Any) -> Any:
    """What a stored number is, as float32."""
    raise NotImplementedError


@overload(number, strict=False)  # type: ignore[untyped-decorator]
def _number(kept: Any) -> Any:
    if isinstance(kept, types.Float):
        return lambda kept: kept
    # The upper half of a float32 is a bfloat16.
    return lambda kept: float_of(np.uint32(np.uint32(kept) << np.uint32(16)))


@intrinsic  # type: ignore[untyped-decorator]
def bits_of(context: Any, value: Any) -> Any:
    """The 32 bits of this float32."""

    def same_bits(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), same_bits


def stored(value: Any, before: Any) -> Any:
    """A float32 as it is stored where ``before`` is."""
    raise NotImplementedError


@overload(stored, strict=False)  # type: ignore[untyped-decorator]
def _stored(value: Any, before: Any) -> Any:
    if isinstance(before, types.Float):
        return lambda value, before: value

    def upper_half(value: Any, before: Any) -> Any:
        # To the nearest, and to the even one of two that are as near.
        bits = bits_of(value)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return upper_half
