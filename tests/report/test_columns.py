"""Plain tables: nothing is left out, whatever the width."""

from netwright.report.columns import columns, hanging


def test_cells_stand_below_each_other():
    lines = columns([["network", "valid"], ["found (trial 3)", "0.9"], ["vgg", "0.85"]])
    assert lines == ["network          valid", "found (trial 3)    0.9", "vgg               0.85"]


def test_several_columns_of_names():
    assert columns([["a", "bb", "1"], ["aa", "b", "22"]], left=2) == ["a   bb   1", "aa  b   22"]


def test_a_text_hangs_beside_its_name():
    text = "words that do not fit into one line of thirty"
    assert hanging("name  ", text, 30) == "name  words that do not fit\n      into one line of thirty"
    assert hanging("name  ", text, None) == hanging("name  ", text, 20) == f"name  {text}"
