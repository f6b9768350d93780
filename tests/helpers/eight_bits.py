"""Exports in eight bits without ONNX, which takes seconds: what they are made of."""

from netwright.children.latency import Latency
from netwright.measure import ACCURACY
from netwright.networks.quantizing import Behaviour, Quantized


def without_onnx(monkeypatch):
    """Puts stubs in the place of ONNX; returns the list of the data that models are quantised with from now on."""
    given = []

    def quantized(model, data, training):
        given.append(data)
        latency = Latency(milliseconds=1.0, standard_error=0.1, calls=50)
        side = Behaviour(bytes=1, measured=0.5, accuracy=0.5, latency=latency)
        return Quantized(content=b"", before=side, after=side, measure=ACCURACY, part="test", images=1)

    monkeypatch.setattr("netwright.export.onnx_file.conv_onnx", lambda *arguments: b"")
    monkeypatch.setattr("netwright.networks.quantizing.quantized", quantized)
    return given
