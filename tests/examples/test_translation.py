"""``examples/translation.py`` on a catalogue made here: words of one language for words of the other."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from netwright.networks import find_network
from netwright.recipes import find_recipe
from netwright.spaces.published import published

WORDS = {"red": "rot", "blue": "blau", "old": "alt", "new": "neu", "house": "haus", "tree": "baum", "dog": "hund"}


def write_catalogue(path: Path, messages: dict[str, str]) -> None:
    """A ``.mo`` file as gettext lays it out: two tables of lengths and offsets, then the texts."""
    path.parent.mkdir(parents=True)
    texts = [text.encode() for table in (messages, messages.values()) for text in table]
    offset, table = 28 + 8 * len(texts), b""
    for text in texts:
        table += struct.pack("<2I", len(text), offset)
        offset += len(text) + 1
    header = struct.pack("<7I", 0x950412DE, 0, len(messages), 28, 28 + 8 * len(messages), 0, 0)
    path.write_bytes(header + table + b"".join(text + b"\0" for text in texts))


@pytest.fixture
def catalogues(tmp_path):
    said = {
        " ".join(words): " ".join(WORDS[word] for word in words)
        for words in [*product(WORDS, repeat=2), *product(list(WORDS)[:5], repeat=3)]
    }
    odd = {"": "Content-Type: text/plain; charset=UTF-8", "month\4May": "Mai", "dog\0dogs": "hund\0hunde"}
    write_catalogue(tmp_path / "app/locale/xx/LC_MESSAGES/app.mo", odd | said)
    return tmp_path


def test_catalogues_are_read_without_plurals_and_headers(example, catalogues):
    pairs = example("translation").read_pairs(catalogues, "xx")
    assert len(pairs) == 1 + len(WORDS) ** 2 + 5**3
    assert (["may"], ["mai"]) in pairs
    assert (["old", "house"], ["alt", "haus"]) in pairs


def test_a_cell_of_a_run_is_taken_with_the_biases_of_its_run(example):
    """Tried: of the architecture alone, a cell of ``text`` has none."""
    recurrent, cell = example("translation").recurrent, find_network("nascell")
    assert recurrent(cell, 4, 5).cells[0].bias is None
    assert recurrent(replace(cell, config=find_recipe("text")), 4, 5).cells[0].bias is not None
    assert isinstance(recurrent(None, 4, 5), torch.nn.LSTM)


@pytest.mark.slow
@pytest.mark.long
def test_every_layer_learns_what_it_never_read(example, catalogues, tmp_path, capsys):
    """Held-out messages consist of words that were read; with the ends alone, a third of the tokens is right."""
    cell = tmp_path / "mine.json"
    cell.write_text(published("nascell").canonical_json())
    layers = ["--layer", "lstm", str(cell)]
    small = ["--seeds", "2", "--epochs", "12", "--rate", "0.01", "--width", "16", "--weights", "5000"]
    example("translation").main(["--folder", str(catalogues), "--language", "xx", *layers, *small])
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.match(r"175 messages, \d+ of them held out; 2 seeds", first)
    assert [line.split()[0] for line in lines] == ["lstm", "mine"]
    for line in lines:
        found = re.search(r"perplexity ([\d.]+) ± [\d.]+  token accuracy ([\d.]+) ± [\d.]+$", line)
        assert found is not None, line
        assert float(found[1]) < len(WORDS)
        assert float(found[2]) > 0.5


def test_no_catalogue_is_one_clear_line(example, tmp_path):
    with pytest.raises(SystemExit, match=r"expected message catalogues .*de/LC_MESSAGES"):
        example("translation").main(["--folder", str(tmp_path)])
