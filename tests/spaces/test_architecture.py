"""Architectures as data, and JSON from strangers."""

import contextlib
import hashlib
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import MAX_FILE_BYTES, MAX_LAYERS, ConvArchitecture, ConvLayer, parse_architecture
from netwright.spaces.published import PUBLISHED, published

LAYER = {"filter_height": 3, "filter_width": 3, "filters": 24, "stride_height": 1, "stride_width": 1}


def conv(**changes):
    return {"kind": "conv", "layers": [LAYER | {"inputs": []}, LAYER | {"inputs": [0]}]} | changes


def one_layer(**changes):
    return conv(layers=[LAYER | {"inputs": []} | changes])


def test_the_documented_json_is_read():
    architecture = parse_architecture(json.dumps(conv(pool_after=[0])))
    assert architecture == ConvArchitecture(
        layers=(
            ConvLayer(filter_height=3, filter_width=3, filters=24),
            ConvLayer(filter_height=3, filter_width=3, filters=24, inputs=(0,)),
        ),
        pool_after=(0,),
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_canonical_json_is_read_back_and_hashes_the_same(name):
    architecture = published(name)
    again = parse_architecture(architecture.canonical_json())
    assert again == architecture
    assert again.digest == architecture.digest


def test_the_digest_does_not_depend_on_how_the_file_was_written():
    text = published("figure7").canonical_json()
    shuffled = json.dumps(dict(reversed(json.loads(text).items())), indent=4)
    assert parse_architecture(shuffled).digest == published("figure7").digest


def test_the_digest_is_sha256_of_the_canonical_json():
    text = (
        '{"kind":"conv","layers":[{"filter_height":3,"filter_width":3,"filters":24,"inputs":[],'
        '"stride_height":1,"stride_width":1}],"pool_after":[],"skip_over_pool":"pad"}'
    )
    architecture = parse_architecture(json.dumps(one_layer()))
    assert architecture.canonical_json() == text
    assert architecture.digest == hashlib.sha256(text.encode()).hexdigest()


def test_unlike_networks_have_unlike_digests():
    assert len({published(name).digest for name in PUBLISHED}) == len(PUBLISHED)


def test_records_are_frozen():
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        published("figure7").layers = ()


REFUSED = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "a number": "7",
    "no kind": {"layers": []},
    "an unknown kind": conv(kind="__import__('os')"),
    "no layers": conv(layers=[]),
    "too many layers": conv(layers=[LAYER | {"inputs": []}] * (MAX_LAYERS + 1)),
    "an unknown key": conv(weights="http://example.org/pickle"),
    "an unknown key of a layer": one_layer(bias=True),
    "a missing key": conv(layers=[{"filter_height": 3}]),
    "a text for a number": one_layer(filters="24"),
    "a fraction": one_layer(filters=24.5),
    "a truth value for a number": one_layer(filters=True),
    "no filters": one_layer(filters=0),
    "a huge number of filters": one_layer(filters=10**9),
    "a number too large for the machine": one_layer(filters=10**400),
    "a filter of no width": one_layer(filter_width=0),
    "a huge filter": one_layer(filter_height=10**6),
    "no stride": one_layer(stride_width=0),
    "a layer that feeds itself": one_layer(inputs=[0]),
    "a layer fed by a later one": conv(layers=[LAYER | {"inputs": [1]}, LAYER | {"inputs": []}]),
    "a negative input": one_layer(inputs=[-1]),
    "an input twice": conv(layers=[LAYER | {"inputs": []}, LAYER | {"inputs": [0, 0]}]),
    "inputs out of order": conv(layers=[LAYER | {"inputs": []}] * 2 + [LAYER | {"inputs": [1, 0]}]),
    "pooling behind the last layer": conv(pool_after=[1]),
    "pooling twice at a place": conv(layers=[LAYER | {"inputs": []}] * 3, pool_after=[0, 0]),
    "an unknown rule for skips": conv(skip_over_pool="drop"),
    "deep nesting": "[" * 100_000,
    "not a number": json.dumps(one_layer()).replace("24", "NaN"),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_a_faulty_file_is_refused_by_its_name(content):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(ArchitectureError, match=r"^arch\.json: ") as error:
        parse_architecture(text, "arch.json")
    assert "\n" not in str(error.value)


def test_a_huge_file_is_refused_unread():
    with pytest.raises(ArchitectureError, match="bytes"):
        parse_architecture(" " * (MAX_FILE_BYTES + 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("kind", "layers", "pool_after", "skip_over_pool", "base", "nodes", "inject", "c_index", "space", "choices")


@given(st.dictionaries(st.sampled_from(KEYS), json_values), st.sampled_from(["conv", "recurrent_cell", "choice", None]))
def test_hostile_json_only_ever_raises_an_architecture_error(tree, kind):
    content = tree if kind is None else tree | {"kind": kind}
    with contextlib.suppress(ArchitectureError):
        parse_architecture(json.dumps(content))


@given(st.data())
def test_a_real_file_with_one_part_replaced_is_read_or_refused(data):
    tree = json.loads(published(data.draw(st.sampled_from(sorted(PUBLISHED)))).canonical_json())
    place, key = tree, None
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    try:
        architecture = parse_architecture(json.dumps(tree))
    except ArchitectureError:
        return
    assert parse_architecture(architecture.canonical_json()) == architecture


@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_are_refused(content):
    with pytest.raises(ArchitectureError):
        parse_architecture(content)
