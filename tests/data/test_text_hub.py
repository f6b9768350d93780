"""Text from a data set of the Hugging Face Hub; from a folder in its layout, since tests go nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netwright.data.images import load_images
from netwright.data.text import check_text, load_text
from netwright.errors import DataError


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def data_set(folder: Path, **parts: list[dict[str, object]]) -> str:
    folder.mkdir()
    for name, rows in parts.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"hf:{folder}"


def test_the_column_of_text_is_read_a_row_per_line(tmp_path: Path) -> None:
    """A row without text is an empty line, as it would be in a file; what is missing is none.

    Tried: empty rows, which WikiText has between its paragraphs, were left out.
    """
    rows = [{"number": 1, "other": "x", "text": "a b a\n"}]
    rows += [{"number": number, "other": "y", "text": text} for number, text in enumerate(("", None, ""))]
    part = [{"number": 3, "other": "z", "text": "b c"}]
    source = data_set(tmp_path / "set", train=rows, validation=part, test=part)
    data = load_text(source)
    assert data.vocabulary == ("<unk>", "<eos>", "a", "b")
    assert data.train.tolist() == [2, 3, 2, 1, 1, 1]
    assert data.validation.tolist() == data.test.tolist() == [3, 0, 1]
    report = check_text(source)
    assert report.counts == {"train": 6, "validation": 3, "test": 3}
    assert report.notes == ("text from column 'text'",)


def test_a_part_that_is_not_there_is_cut_off_the_training_part(tmp_path: Path) -> None:
    data = load_text(data_set(tmp_path / "set", train=[{"text": f"w{number}"} for number in range(50)]))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [80, 10, 10]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a split 'train', got 'test'"):
        load_text(data_set(tmp_path / "a", test=[{"text": "a b"}]))
    with pytest.raises(DataError, match=r"expected a column of text, got number"):
        load_text(data_set(tmp_path / "b", train=[{"number": 1}]))


def test_one_of_several_configurations_is_named(tmp_path: Path) -> None:
    """Tried: what `datasets` says of it names a call of its own."""
    for folder in (tmp_path / "set", tmp_path / "a@b"):
        data_set(folder, small=[{"text": "a b"}] * 20, large=[{"text": "a b c"}] * 20)
        configurations = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in ("small", "large"))
        (folder / "README.md").write_text(f"---\nconfigs:\n{configurations}---\n", encoding="utf-8")
        assert load_text(f"hf:{folder}@small").vocabulary == ("<unk>", "<eos>", "a", "b")
        assert load_text(f"hf:{folder}@large").vocabulary == ("<unk>", "<eos>", "a", "b", "c")
        with pytest.raises(DataError) as error:
            load_text(f"hf:{folder}")
        assert "expected one of its configurations, small, large; name it: hf:" in str(error.value)
        assert str(error.value).endswith(f"hf:{folder}@small")
        with pytest.raises(DataError, match="cannot be loaded"):
            load_text(f"hf:{folder}@medium")


def test_text_that_is_read_as_images_says_how_it_is_read_as_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a column of images, .*; for text: .* --kind text"):
        load_images(data_set(tmp_path / "set", train=[{"text": "a b"}]))
    with pytest.raises(DataError, match=r"expected a column of images, .* number \(Value\)$"):
        load_images(data_set(tmp_path / "numbers", train=[{"number": 1}]))
