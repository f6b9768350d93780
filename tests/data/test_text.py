"""Text: tokens, vocabularies, parts, and what is said about files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netwright.data.text import (
    END,
    UNKNOWN,
    TextData,
    build_vocabulary,
    check_text,
    from_texts,
    load_text,
    tokenize,
)
from netwright.errors import DataError


def words(data: TextData, part: str) -> str:
    return " ".join(data.vocabulary[number] for number in getattr(data, part))


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_lines_end_with_a_token_of_their_own() -> None:
    assert tokenize(" a bc \nd\n", "word") == ["a", "bc", END, "d", END]
    assert tokenize(" a bc \nd\n", "character") == ["a", " ", "b", "c", END, "d", END]
    assert tokenize("", "word") == []


def test_vocabulary_is_by_frequency_then_alphabet() -> None:
    assert build_vocabulary(["b", "a", "c", "c", END, UNKNOWN]) == (UNKNOWN, END, "c", "a", "b")
    assert build_vocabulary(["b", "a", "c", "c"], 3) == (UNKNOWN, END, "c")


def test_words_that_training_lacks_are_unknown(tmp_path: Path) -> None:
    write(tmp_path, train="a b a\n", valid="b z\n", test="a\nq")
    data = load_text(f"text:{tmp_path}")
    assert data.vocabulary == (UNKNOWN, END, "a", "b")
    assert words(data, "train") == "a b a <eos>"
    assert words(data, "validation") == "b <unk> <eos>"
    assert words(data, "test") == "a <eos> <unk> <eos>"


def test_one_file_is_divided_in_order(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("".join(f"w{number}\n" for number in range(100)))
    data = load_text(f"text:{file}")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [160, 20, 20]
    assert words(data, "train").startswith("w0 <eos> w1")
    assert len(load_text(f"text:{file}", train_limit=10).train) == 10
    assert len(load_text(f"text:{file}", unit="character").vocabulary) == 13


def test_windows_lines_and_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, train=b"\xef\xbb\xbfa\r\nb\r\n", valid="a b", test="a b")
    data = load_text(f"text:{tmp_path}")
    assert words(data, "train") == "a <eos> b <eos>"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "train.txt is empty"),
        (b" \n\n", "train.txt is empty"),
        ("caf\u00e9 ".encode() + "caf\u00e9".encode("latin-1"), r"train.txt is not UTF-8: byte 0xe9 at byte offset 9"),
        (b"\xef\xbb\xbfab\xff", r"byte 0xff at byte offset 5"),
        ("text".encode("utf-16"), "train.txt is UTF-16"),
        (b"ab\0c", "zero byte at byte offset 2"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    source = f"text:{write(tmp_path, train=content, test='fine text')}"
    with pytest.raises(DataError, match=problem):
        load_text(source)
    report = check_text(source)
    assert [defect.file for defect in report.defects] == ["train.txt"]
    assert "1 defects" in report.lines()


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"train\.txt"):
        load_text(f"text:{tmp_path}")
    with pytest.raises(DataError, match=r"none\.txt cannot be read: No such file"):
        load_text(f"text:{tmp_path / 'none.txt'}")
    with pytest.raises(DataError, match=r"ptb\.train\.txt"):
        load_text(f"ptb:{tmp_path}")
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
    with pytest.raises(DataError, match="NETWRIGHT_DATA"):
        load_text("ptb")
    with pytest.raises(DataError, match="pydoc, ptb"):
        load_text("wiki")


def test_too_little_text() -> None:
    with pytest.raises(DataError, match="at least two words to learn from in the test part"):
        from_texts({"train": "a b c d"})
    with pytest.raises(ValueError, match="train"):
        from_texts({"test": "a"})


def test_python_documentation_is_always_there_and_its_parts_share_no_paragraph() -> None:
    data = load_text("pydoc")
    assert len(data.train) > 30_000
    assert len(data.vocabulary) <= 10_000
    assert min(len(data.validation), len(data.test)) > 3_000
    assert (load_text("pydoc").validation == data.validation).all()


def test_report(tmp_path: Path) -> None:
    report = check_text(f"text:{write(tmp_path, train='a b a c', valid='a z', test='a b')}", max_vocabulary=3)
    assert report.counts == {"train": 5, "validation": 3, "test": 3}
    assert report.vocabulary == 3
    assert report.unknown["train"] == pytest.approx(2 / 5)
    assert not report.defects
    assert "most frequent of 5" in report.warnings[0]


@pytest.mark.data
@pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder with ptb/")
def test_penn_treebank_has_mikolovs_sizes() -> None:
    data = load_text("ptb")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [929_589, 73_760, 82_430]
    assert len(data.vocabulary) == 10_000
