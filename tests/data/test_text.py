"""Text: tokens, vocabularies, parts, and what is said about files that cannot be read."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netwright.cli.main import app
from netwright.config import TextDataSettings, known_encoding
from netwright.data import text_file
from netwright.data.text import TextData, check_text, from_texts, load_text
from netwright.data.tokens import END, UNKNOWN, build_vocabulary, tokenize
from netwright.errors import DataError, UsageError
from netwright.experiment import load_data
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.tasks import TEXT


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
        ("caf\u00e9 ".encode() + "caf\u00e9s".encode("latin-1"), "train.txt is not UTF-8: byte 0xe9 at byte offset 9"),
        (b"\xef\xbb\xbfab\xff", r"byte 0xff at byte offset 5"),
        ("text".encode("utf-16"), "train.txt is UTF-16"),
        (b"ab\0c", "zero byte at byte offset 2"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    """Tried: without the catching of what cannot be decoded, the message is another."""
    source = f"text:{write(tmp_path, train=content, test='fine text')}"
    with pytest.raises(DataError, match=problem):
        load_text(source)
    report = check_text(source)
    assert [defect.file for defect in report.defects] == ["train.txt"]
    assert "1 defect" in report.lines()


@pytest.mark.parametrize(
    ("content", "problem", "encoding"),
    [
        (b"na\xefve", "is not UTF-8: byte 0xef at byte offset 2; perhaps it is latin-1: ", "latin-1"),
        (b"\x93naive\x94", "is not UTF-8: byte 0x93 at byte offset 0; perhaps it is windows-1252: ", "windows-1252"),
        ("na\u00efve".encode("utf-16"), "is UTF-16 by the mark at byte offset 0; ", "utf-16"),
        (b"\xfe\xff" + "naive".encode("utf-16-be"), "is UTF-16 by the mark at byte offset 0; ", "utf-16"),
        ("na\u00efve".encode("utf-32"), "is UTF-32 by the mark at byte offset 0; ", "utf-32"),
        ("na\u00efve".encode("utf-16-le"), "a zero byte at byte offset 1; perhaps it is utf-16-le: ", "utf-16-le"),
        ("na\u00efve".encode("utf-16-be"), "a zero byte at byte offset 0; perhaps it is utf-16-be: ", "utf-16-be"),
    ],
)
def test_the_error_of_another_encoding_names_it_and_with_it_the_file_is_read(
    tmp_path: Path, content: bytes, problem: str, encoding: str
) -> None:
    """Tried: it fails when the guess is left out, and when it is always the same."""
    source = f"text:{write(tmp_path, train=content, valid=content, test=content)}"
    with pytest.raises(DataError) as error:
        load_text(source)
    line = str(error.value).splitlines()[1]
    assert line.startswith("  train.txt is ")
    assert f"{problem}--set data.encoding={encoding} would read it (look at what `netwright data check --" in line
    data = load_text(source, encoding=encoding)
    assert words(data, "train") == content.decode(encoding) + " <eos>"
    assert check_text(source, encoding=encoding).counts["train"] == 2


@pytest.mark.parametrize(
    ("content", "encoding", "problem"),
    [
        (b"abcdefg\xff", "utf-8", "byte 0xff at byte offset 7"),
        (b"abcdefg\xc3", "utf-8", "ends in the middle of a character of UTF-8, at byte offset 7"),
        (b"\xef\xbb\xbfabcd\xc3(", "utf-8", "byte 0xc3 at byte offset 7"),
        (b"abcdefgh\0", "utf-8", "zero byte at byte offset 8"),
        ("abc\0".encode("utf-16"), "utf-16", "zero byte at byte offset 8"),
        (b"a\0b\0c", "utf-16-le", "ends in the middle of a character of UTF-16-LE, at byte offset 4"),
        (b"a\0b\0\0\xdcc\0", "utf-16-le", "is not UTF-16-LE: byte 0x00 at byte offset 4; mend or remove it"),
        ("caf\u00e9".encode(), "ascii", "is not ASCII: byte 0xc3 at byte offset 3; perhaps it is utf-8"),
        (b"abcd\x81", "windows-1252", "byte 0x81 at byte offset 4; perhaps it is latin-1"),
        (b"    \n   ", "utf-8", "is empty"),
        ("\n".encode("utf-16"), "utf-16", "is empty"),
    ],
)
def test_offsets_count_from_the_beginning_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, encoding: str, problem: str
) -> None:
    """In files of several chunks. Tried: it fails when an offset is that within the chunk."""
    for size in (4, 8):
        monkeypatch.setattr(text_file, "CHUNK", size)
        with pytest.raises(DataError, match=problem):
            load_text(f"text:{write(tmp_path, train=content, test='fine text')}", encoding=encoding)


CUT = "\u65e5\u672c\u8a9e\u3067\u3059\u3002".encode()[:-1]
"""A text in UTF-8 that ends inside its last character."""


@pytest.mark.parametrize(
    ("content", "encoding", "problem"),
    [
        (CUT, "utf-8", "ends in the middle of a character of UTF-8, at byte offset 15: was it cut short?"),
        (CUT, "windows-1252", "is not WINDOWS-1252: byte 0x81 at byte offset 10; mend or remove it"),
        (CUT[:6] + b"\xff" + CUT, "utf-8", "is not UTF-8: byte 0xff at byte offset 6; mend or remove it"),
        (b"\xef\xbb\xbfab\xffcd", "utf-8", "is not UTF-8: byte 0xff at byte offset 5; mend or remove it"),
        (
            "caf\u00e9".encode("utf-16") + b"\0",
            "utf-16",
            "ends in the middle of a character of UTF-16, at byte offset 10",
        ),
        (b"a\0b\0c\0\0\xdcd\0", "utf-16-le", "is not UTF-16-LE: byte 0x00 at byte offset 6; mend or remove it"),
    ],
)
@pytest.mark.parametrize("size", [4, 8, text_file.CHUNK])
def test_no_encoding_is_guessed_where_the_given_one_read_what_precedes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, content: bytes, encoding: str, problem: str
) -> None:
    """Tried: it fails when the end of the file is a byte like others, when what precedes a byte does not count (in its
    chunk, or in those before), and when a text with zero bytes may be in an encoding of bytes.
    """
    monkeypatch.setattr(text_file, "CHUNK", size)
    with pytest.raises(DataError) as error:
        load_text(f"text:{write(tmp_path, train=content)}", encoding=encoding)
    line = str(error.value).splitlines()[1]
    assert line.startswith(f"  train.txt {problem}")
    assert "perhaps" not in line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "gb18030"])
@pytest.mark.parametrize("size", [4, text_file.CHUNK])
def test_a_mark_is_no_part_of_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, encoding: str
) -> None:
    """Tried: it fails for all but utf-8-sig when no mark is removed, and when any piece may begin with one."""
    monkeypatch.setattr(text_file, "CHUNK", size)
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    write(tmp_path, train=f"{mark}a b\ufeffc\n\ufeffd".encode(encoding), valid="ab".encode(encoding))
    (tmp_path / "test.txt").write_bytes("ab".encode(encoding))
    data = load_text(f"text:{tmp_path}", encoding=encoding, unit="character")
    assert words(data, "train").startswith("a   b \ufeff c <eos> \ufeff d")
    write(tmp_path, train=mark.encode(encoding))
    with pytest.raises(DataError, match=r"train\.txt is empty"):
        load_text(f"text:{tmp_path}", encoding=encoding)


NO_MARK = "has no mark at byte offset 0, which "


@pytest.mark.parametrize(
    ("content", "encoding", "problem"),
    [
        (b"\xef\xbb\xbfab", "latin-1", "is UTF-8 by the mark at byte offset 0; --set data.encoding=utf-8 would"),
        (b"\xef\xbb\xbfab", "utf-16-le", "is UTF-8 by the mark at byte offset 0"),
        ("ab".encode("utf-16"), "utf-16-be", "is UTF-16 by the mark at byte offset 0"),
        ("ab".encode("utf-32"), "utf-16", "is UTF-32 by the mark at byte offset 0"),
        ("a text".encode("utf-16-le"), "utf-16", f"{NO_MARK}UTF-16 begins with; perhaps it is utf-16-le"),
        ("a text".encode("utf-16-be"), "U16", f"{NO_MARK}UTF-16 begins with; perhaps it is utf-16-be"),
        (b"a text", "utf-16", f"{NO_MARK}UTF-16 begins with; perhaps it is utf-8"),
        ("\u65e5\n".encode("utf-16-le"), "utf-16", f"{NO_MARK}UTF-16 begins with; name the order of its bytes: "),
        ("a text".encode("utf-32-le"), "utf-32", f"{NO_MARK}UTF-32 begins with; name the order of its bytes: "),
    ],
)  # fmt: skip
def test_the_mark_of_another_encoding_and_a_mark_that_is_missing_are_defects(
    tmp_path: Path, content: bytes, encoding: str, problem: str
) -> None:
    """Tried: it fails when only encodings of bytes look for another's mark, when UTF-8 has none, when none is missed,
    and when a file in UTF-8 should be saved as UTF-8.
    """
    with pytest.raises(DataError) as error:
        load_text(f"text:{write(tmp_path, train=content)}", encoding=encoding)
    assert f"train.txt {problem}" in str(error.value)
    assert not ("data.encoding=utf-8" in str(error.value) and "save it as UTF-8" in str(error.value))


def test_what_is_not_ascii_is_shown_so_that_a_wrong_encoding_is_seen(tmp_path: Path) -> None:
    """Tried: it fails when ASCII is shown, and when a word is printed as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("plain caf\u00e9 \x9b2J\n" * 40, encoding="utf-8")
    assert check_text(f"text:{file}").lines()[2] == "not ASCII   'caf\u00e9', '\\x9b2J'"
    assert "'caf\u00c3\u00a9'" in check_text(f"text:{file}", encoding="latin-1").lines()[2]
    assert check_text(f"text:{write(tmp_path, train='plain ' * 40)}").lines()[2] == ""


@pytest.mark.parametrize("size", [4, 8, 64])
@pytest.mark.parametrize("before", ["", "a ", "ab\ncd "])
def test_a_word_that_is_too_long_is_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, before: str
) -> None:
    """Tried: it fails when only whole pieces count, when a word continues over a blank, with one more or less, and
    when characters must stand in words, too.
    """
    monkeypatch.setattr(text_file, "CHUNK", size)
    monkeypatch.setattr(text_file, "LONGEST_WORD", 100)
    data = load_text(f"text:{write(tmp_path, train=(before + 'x' * 100 + ' ') * 20)}")
    assert "x" * 100 in data.vocabulary
    source = f"text:{write(tmp_path, train=before + 'x' * 101 + ' y', test='fine text')}"
    with pytest.raises(DataError) as error:
        load_text(source)
    told = re.search(r"train.txt has a word of more than 100 characters, around byte offset (\d+); ", str(error.value))
    assert told
    assert len(before) < int(told[1]) < len(before) + 101
    assert "--set data.unit=character" in str(error.value)
    assert [defect.file for defect in check_text(source).defects] == ["train.txt"]
    assert load_text(source, unit="character").vocabulary[2] == "x"


def test_a_word_without_end_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """Tried: it fails when words may be as long as they like."""
    file = tmp_path / "long.txt"
    file.write_text("a" * 40 * text_file.CHUNK)
    tracemalloc.start()
    try:
        with pytest.raises(
            DataError, match=r"long\.txt has a word of more than 1048576 characters, around byte offset 10"
        ):
            load_text(f"text:{file}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * text_file.CHUNK


def test_the_report_is_on_the_parts_that_children_see(tmp_path: Path) -> None:
    """Tried: it fails when the distinct words of the whole file are counted."""
    file = tmp_path / "notes.txt"
    file.write_text("".join(f"w{number}\n" for number in range(100)))
    report = check_text(f"text:{file}", max_vocabulary=10)
    assert report.counts == {"train": 160, "validation": 20, "test": 20}
    assert report.warnings[0] == f"the 10 most frequent of 82 words are kept, the others are {UNKNOWN}"


def test_the_setting_and_the_option_reach_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tried: it fails when either is not passed on."""
    (tmp_path / "notes.txt").write_bytes("caf\u00e9 ".encode("latin-1") * 40)
    source = f"text:{tmp_path / 'notes.txt'}"
    config = override(find_recipe("text-words"), {"data.source": source, "data.encoding": "latin-1"})
    assert load_data(config, TEXT).vocabulary == (UNKNOWN, END, "caf\u00e9")
    app(["data", "check", source, "--encoding", "latin-1"], standalone_mode=False)
    assert "0 defects" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["utf-9", "hex", "", "a\0b", "\udcff", "../utf_8"])
def test_an_encoding_that_there_is_not_is_refused(name: str) -> None:
    for use in (known_encoding, lambda name: load_text("pydoc", encoding=name), lambda n: TextDataSettings(encoding=n)):
        with pytest.raises(ValueError, match="expected an encoding of text such as utf-8"):
            use(name)


def plain(texts: dict[str, str], unit: str, limit: int | None) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Vocabulary and token numbers by the definition, with the whole text in memory."""
    parts = {}
    for part, text in texts.items():
        text = text.replace("\r\n", "\n")
        lines = text.removesuffix("\n").split("\n") if text else []
        parts[part] = [token for line in lines for token in (*(line.split() if unit == "word" else line.strip()), END)]
    train, share = parts["train"], round(0.1 * len(parts["train"]))
    for part in ("test", "validation"):
        if part not in parts:
            kept = len(train) - share
            train, parts[part] = train[:kept], train[kept:]
    parts["train"] = train
    counts = Counter(token for token in train if token not in (UNKNOWN, END))
    vocabulary = (UNKNOWN, END, *sorted(counts, key=lambda token: (-counts[token], token)))[:limit]
    return vocabulary, {
        part: [vocabulary.index(token) if token in vocabulary else 0 for token in tokens]
        for part, tokens in parts.items()
    }


BLANKS = [" ", "  ", "\t", "\n", "\r", "\r\n", "\x1c", "\x85", "\xa0", "\u2028"]
ODD = st.sampled_from([*BLANKS, "a", "b", "ab", "\xe9", "\u0416", "\U0001f600", END])
TEXTS = st.lists(ODD, min_size=1, max_size=60).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    texts=st.dictionaries(st.sampled_from(["validation", "test"]), TEXTS),
    train=TEXTS,
    unit=st.sampled_from(["word", "character"]),
    limit=st.none() | st.integers(1, 6),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "gb18030"]),
    chunk=st.sampled_from([4, 8, 16]),
)
@example(texts={}, train="abc\r\nabc  \r\n" * 9, unit="character", limit=None, encoding="utf-8", chunk=4)
@example(texts={}, train="abcabcabcabc" * 9 + " \n", unit="word", limit=None, encoding="utf-8", chunk=4)
def test_a_file_in_chunks_gives_the_numbers_of_the_whole_text(
    tmp_path: Path, texts: dict[str, str], train: str, unit: str, limit: int | None, encoding: str, chunk: int
) -> None:
    """Chunks of a few bytes cut words, ends of line and characters in two.

    Tried: it fails when a cut word counts as two, when blanks at the end of a chunk count as those of a line, and
    when they are lost in the middle of one.
    """
    texts = texts | {"train": train}
    for part in ("train", "validation", "test"):
        file = tmp_path / f"{'valid' if part == 'validation' else part}.txt"
        file.unlink(missing_ok=True)
        if part in texts:
            file.write_bytes(texts[part].encode(encoding))
    expected, numbers = plain(texts, unit, limit)
    read = "utf-8" if encoding == "utf-8-sig" else encoding  # its mark is skipped
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_file, "CHUNK", chunk)
        if any(not text.strip() for text in texts.values()) or any(len(part) < 2 for part in numbers.values()):
            with pytest.raises(DataError, match=r"is empty|at least two"):
                load_text(f"text:{tmp_path}", unit=unit, max_vocabulary=limit, encoding=read)
            return
        data = load_text(f"text:{tmp_path}", unit=unit, max_vocabulary=limit or 0, encoding=read)
    assert data.vocabulary == expected
    for part, of in numbers.items():
        assert getattr(data, part).tolist() == of


@pytest.mark.parametrize("unit", ["word", "character"])
def test_a_file_in_one_line_is_never_in_memory_as_a_whole(tmp_path: Path, unit: str) -> None:
    """What is counted: the token ids as they are made, four bytes each, and what chunks take. PyTorch's eight are not.

    Tried: it fails when the file is read at once.
    """
    file = tmp_path / "long.txt"
    word = "internationalisation" * 5 + " "
    file.write_text(word * 120_000 if unit == "word" else " " * 6_000_000 + "a" * 1_000_000 + " " * 5_000_000)
    tracemalloc.start()
    try:
        data = load_text(f"text:{file}", unit=unit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tokens = sum(len(part) for part in (data.train, data.validation, data.test))
    assert tokens == (120_001 if unit == "word" else 1_000_001)
    assert peak < 4 * tokens + 10 * text_file.CHUNK


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
    with pytest.raises(ValueError, match=r"no other texts than train, validation, test, got \['valid'\]"):
        from_texts({"train": "a b c d", "valid": "a b"})


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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "vocabulary  12 characters"),
        (["--unit", "word"], "vocabulary  6 words"),
        (["--recipe", "text-words"], "vocabulary  6 words"),
        (["--recipe", "text-words", "--unit", "character"], "vocabulary  12 characters"),
        (["--set", "data.unit=word"], "vocabulary  6 words"),
        (["--set", "data.max_vocabulary=5"], "vocabulary  5 characters"),
        (["--unit", "word", "--set", "data.train_limit=2"], "vocabulary  4 words"),
        (["--recipe", "{}/two.toml"], "vocabulary  4 words"),
    ],
)
def test_a_text_is_checked_as_the_search_would_read_it(tmp_path, capsys, options, expected):
    """Tried: ``train_limit`` was left out, so a recipe with one was told of a vocabulary that no search has."""
    source = write(tmp_path, train="abc def gh i", valid="abc def", test="abc gh")
    config = override(find_recipe("text-words"), {"data.train_limit": 2})
    (tmp_path / "two.toml").write_text(config.to_toml())
    options = [*(option.format(tmp_path) for option in options), "--set", "child.batch_size=1"]
    app(["data", "check", f"text:{source}", *options], standalone_mode=False)
    assert expected in capsys.readouterr().out


def test_pictures_have_no_unit():
    with pytest.raises(UsageError, match="--unit: expected a source of text, got digits"):
        app(["data", "check", "digits", "--unit", "word"], standalone_mode=False)


def test_a_text_that_is_shorter_than_the_streams_of_the_search_is_a_defect(tmp_path, capsys):
    source = write(tmp_path, train="abc def " * 5, valid="abc def", test="abc gh")
    with pytest.raises(DataError, match="1 defect"):
        app(["data", "check", f"text:{source}"], standalone_mode=False)
    assert "--set child.batch_size=20" in capsys.readouterr().out
    app(["data", "check", f"text:{source}", "--set", "child.batch_size=20"], standalone_mode=False)


def test_what_is_measured_on_has_a_limit_of_its_own_and_the_test_part_none(tmp_path):
    """Tried: with a limit of training alone, a tenth of the whole text is read after every epoch."""
    file = tmp_path / "notes.txt"
    file.write_text("".join(f"w{number % 7}\n" for number in range(10_000)))
    source = f"text:{file}"
    config = override(find_recipe("text-words"), {"data.source": source, "data.train_limit": 1500})
    data = load_data(config, TEXT)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1500, 2000, 2000]
    assert data.report.warnings == (
        "the validation part has 2,000 words, more than the 1,500 that are learned from, and is read after every epoch "
        "of every child; --set data.validation_limit=1000 measures on the first of them",
    )
    limited = load_data(override(config, {"data.validation_limit": 1000}), TEXT)
    assert [len(part) for part in (limited.train, limited.validation, limited.test)] == [1500, 1000, 2000]
    assert torch.equal(limited.validation, data.validation[:1000])
    assert limited.report.warnings == ()
    assert {"train_limit", "validation_limit"} == set(TEXT.limits)  # which a final training lifts


def test_ends_of_line_that_are_written_out_are_warned_of(tmp_path):
    """Tried: without the look at what precedes it, a word that ends so is taken for one."""
    text = "the cat <eos>\nthe dog\n<eos> first\nx<eos>\nthe rat <eos> \r\n"
    data = from_texts({"train": text, "validation": text, "test": "a cat\n"})
    assert words(data, "train").startswith("the cat <eos> <eos> the dog <eos> <eos> first <eos> x<eos> <eos>")
    [said] = [warning for warning in data.report.warnings if "written" in warning]
    assert said.startswith("4 lines with <eos> written at the end")
    for other in ({"train": "the cat\n\n" * 20}, {"train": "<eos> first\n" * 20}):
        assert "written" not in " ".join(from_texts(other).report.warnings)
    characters = from_texts({"train": text * 10}, unit="character")
    assert "written" not in " ".join(characters.report.warnings)


def test_a_folder_of_texts_that_are_no_parts_says_how_they_are_joined(tmp_path):
    folder = tmp_path / "my notes"
    folder.mkdir()
    with pytest.raises(DataError, match=r"and perhaps valid\.txt and test\.txt$"):
        load_text(f"text:{folder}")
    write(folder, monday="a b", tuesday="c d")
    with pytest.raises(DataError) as error:
        load_text(f"text:{folder}")
    assert "found 2 other files of text, monday.txt, tuesday.txt: join" in str(error.value)
    assert f"cat '{folder}'/*.txt > joined.text, and name that file (text:joined.text)" in str(error.value)
