"""Eight bits: the same classes for nearly all pictures, and what it costs said beside it."""

import json

import numpy as np
import pytest

from netwright.networks.finding import find_network
from netwright.networks.quantizing import comparison_lines

pytestmark = pytest.mark.slow  # two exports to ONNX


def test_the_export_in_eight_bits_is_measured_beside_the_float_one(run, data, tmp_path):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    network = find_network(str(run)).train(tmp_path / "training", data=data, epochs=6)
    written = network.export(tmp_path / "files", int8=True, data=data)
    assert {"model.onnx", "model.int8.onnx", "int8.json"} <= {path.name for path in written}
    told = json.loads((tmp_path / "files" / "int8.json").read_text())
    assert told["part"] == "test"
    assert told["images"] == len(data.test.labels)

    content = (tmp_path / "files" / "model.int8.onnx").read_bytes()
    assert told["int8"]["bytes"] == len(content)
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert json.loads(metadata["classes"]) == ["even", "odd"]
    types = {tensor.data_type for tensor in onnx.load_from_string(content).graph.initializer}
    assert onnx.TensorProto.INT8 in types

    images, labels = data.test.images.numpy(), data.test.labels.numpy()
    logits = {}
    for name in ("model.onnx", "model.int8.onnx"):
        session = onnxruntime.InferenceSession(tmp_path / "files" / name, providers=["CPUExecutionProvider"])
        (logits[name],) = session.run(["logits"], {"images": images})
    accuracies = {name: float((values.argmax(1) == labels).mean()) for name, values in logits.items()}
    assert told["float"]["accuracy"] == pytest.approx(accuracies["model.onnx"])
    assert told["int8"]["accuracy"] == pytest.approx(accuracies["model.int8.onnx"])
    spread = np.abs(logits["model.onnx"]).max()
    difference = np.abs(logits["model.onnx"] - logits["model.int8.onnx"]).max()
    assert 0 < difference < 0.2 * spread
    assert len(comparison_lines(told)) == 4
