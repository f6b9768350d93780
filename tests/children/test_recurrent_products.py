"""Matrix products through oneDNN, and without it."""

from __future__ import annotations

import pytest
import torch

from netwright.children import products
from netwright.children.products import packed_product, product
from netwright.children.recurrent_cell import NASRNN


@pytest.fixture(params=["onednn", "plain"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With oneDNN where it is there, whether it pays or not, and as if PyTorch had dropped the private names."""
    monkeypatch.setattr(products, "_onednn_pays", products._onednn_is_there if request.param == "onednn" else bool)


@pytest.fixture
def _all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is taken for one that oneDNN and bfloat16 are faster with."""
    monkeypatch.setattr(products, "SMALL", -1)


@pytest.mark.usefixtures("_library", "_all_large")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
def test_products(dtype: torch.dtype, transposed: bool) -> None:
    a = torch.randn(3, 5, dtype=dtype)
    b = torch.randn(7, 5, dtype=dtype).t() if transposed else torch.randn(5, 7, dtype=dtype)
    for result in (product(a, b), packed_product(b, 3)(a), product(a.t().contiguous().t(), b)):
        torch.testing.assert_close(result, a @ b)
        assert result.dtype == dtype
    rounded = product(a, b, bfloat16=True)
    torch.testing.assert_close(rounded, a @ b, rtol=0.05, atol=0.05)
    assert not torch.equal(rounded, a @ b)
    packed = packed_product(b, 3, bfloat16=True)(a)
    assert packed.dtype == torch.float32  # on a CPU, so that what follows is of one type
    torch.testing.assert_close(packed.to(dtype), rounded)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("small", [-1, products.SMALL])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_bias_is_added_to_each_row(small: int, bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SMALL", small)
    a, b, bias = torch.randn(3, 5), torch.randn(5, 7), torch.randn(7)
    without = packed_product(b, 3, bfloat16=bfloat16)(a)
    torch.testing.assert_close(packed_product(b, 3, bias, bfloat16=bfloat16)(a), without + bias)


def test_small_matrices_are_not_rounded() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    torch.testing.assert_close(packed_product(b, 3, bfloat16=True)(a), a @ b)


@pytest.mark.usefixtures("_library", "_all_large")
@pytest.mark.parametrize(("m", "k", "n"), [(0, 3, 2), (2, 0, 3), (2, 3, 0)])
def test_products_of_nothing(m: int, k: int, n: int) -> None:
    a, b = torch.randn(m, k), torch.randn(k, n)
    assert torch.equal(product(a, b), a @ b)
    assert torch.equal(packed_product(b, m)(a), a @ b)


@pytest.mark.usefixtures("_library")
def test_layers_do_not_mind_autocast() -> None:
    rnn = NASRNN(3, 4, 2)
    x = torch.randn(5, 2, 3)
    expected = rnn(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        output = rnn(x)[0]
        half = rnn(x.bfloat16())[0]
    output.sum().backward()
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(half, expected, rtol=0.05, atol=0.05)
