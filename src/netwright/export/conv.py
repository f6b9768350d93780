"""A convolutional network as stand-alone source: a ``model.py`` that imports only torch, for people to read.

The source is put together from numbers of a checked architecture; no text of a file or a user gets into it unquoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from netwright.children.conv_net import same_padding
from netwright.config import ImageTraining
from netwright.data.listing import PICTURE_CHANNELS
from netwright.spaces.architecture import LAYER_ACTIVATIONS, ConvArchitecture
from netwright.spaces.cost import IMAGE, Join, Shape, cost, geometry


def conv_source(
    architecture: ConvArchitecture, image: Shape, classes: Sequence[str], settings: ImageTraining, bits: int = 16
) -> str:
    """The text of ``model.py``: the class ``Network``, ``prepare`` for its images, and what reads pictures for it.

    Args:
        architecture: Of the network.
        image: Channels, rows and columns of the images.
        classes: Names of the classes, in the order of the logits.
        settings: How it was trained, which tells how images are prepared.
        bits: Of the pixels of deep pictures in the data that it was trained on.
    """
    shapes = geometry(architecture, image)
    blocks, steps = [], []
    for index, (layer, join) in enumerate(zip(architecture.layers, shapes.joins, strict=True)):
        size, stride = (layer.filter_height, layer.filter_width), (layer.stride_height, layer.stride_width)
        top, bottom = same_padding(join.shape.height, layer.filter_height, layer.stride_height)
        left, right = same_padding(join.shape.width, layer.filter_width, layer.stride_width)
        arguments = f"{join.shape.channels}, {layer.filters}, {size}, {stride}, {(left, right, top, bottom)}"
        block = {"conv": "Block", "separable": "SeparableBlock"}[layer.layer_type]
        blocks.append(f"        self.layer{index} = {block}({arguments})")
        steps.append(f"        x{index} = self.layer{index}({_joined(join, shapes.outputs, image)})")
    separable = any(layer.layer_type == "separable" for layer in architecture.layers)
    height, width = round(image.height * settings.upsample), round(image.width * settings.upsample)
    enlarged = (height, width) != (image.height, image.width)
    pictures = image.channels in PICTURE_CHANNELS
    top, left = (height - image.height) // 2, (width - image.width) // 2
    return TEMPLATE.format(
        image=f"[N, {image.channels}, {image.height}, {image.width}]",
        classes=tuple(classes),
        enlarging=f", enlarged to {height} x {width}, the middle of it" if enlarged else "",
        enlarge=ENLARGE.format(
            size=(height, width), top=top, bottom=top + image.height, left=left, right=left + image.width
        )
        if enlarged
        else "",
        eps=settings.batch_norm_eps,
        separable=SEPARABLE.format(activation=architecture.activation) if separable else "",
        activation=architecture.activation,
        name=LAYER_ACTIVATIONS[architecture.activation],
        parameters=cost(architecture, image, len(classes)).parameters,
        blocks="\n".join(blocks),
        features=shapes.final.shape.channels,
        number=len(classes),
        steps="\n".join(steps),
        final=_joined(shapes.final, shapes.outputs, image),
        imports="import sys\nfrom collections.abc import Sequence\n" if pictures else "",
        usage=USAGE if pictures else "",
        reading=READING.format(**image._asdict(), bits=bits, shift=bits - 8, mode="L" if image.channels == 1 else "RGB")
        if pictures
        else "",
    )


def conv_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ``ConvNet``'s weights under the names of the stand-alone network."""
    return {name.replace("layers.", "layer", 1): value for name, value in state.items()}


def weights_of_conv(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`conv_weights`."""
    return {re.sub(r"^layer(?=\d)", "layers.", name): value for name, value in state.items()}


def _joined(join: Join, outputs: Sequence[Shape], image: Shape) -> str:
    """The expression for what a layer is fed."""
    pool = {"max": "max_pool2d", "average": "avg_pool2d"}[join.pooling]
    parts = []
    for source, poolings in join.sources:
        text = "images" if source == IMAGE else f"x{source}"
        channels, height, width = image if source == IMAGE else outputs[source]
        for _ in range(poolings):
            text = f"F.{pool}({text}, 2, ceil_mode=True)"
            height, width = -(-height // 2), -(-width // 2)
        below, right = join.shape.height - height, join.shape.width - width
        deeper = join.shape.channels - channels if join.added else 0
        if below or right or deeper:
            text = f"F.pad({text}, (0, {right}, 0, {below}, 0, {deeper}))"
        parts.append(text)
    if join.added:
        return " + ".join(parts)
    return parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}), 1)"


ENLARGE = """\
    images = F.interpolate(images, {size}, mode="bilinear", align_corners=False)
    images = images[:, :, {top}:{bottom}, {left}:{right}]
"""

USAGE = """\
    predict(["1.jpg"], network)  # probabilities by class; needs the package Pillow

    python model.py 1.jpg 2.jpg ...
"""

READING = '''

def read(file: str | Path) -> Tensor:
    """A picture as bytes [1, {channels}, {height}, {width}]: upright, laid over white, resized; as in training."""
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
    if picture.mode == "F":
        raise ValueError("floating-point pixels, of which white is not known; convert it to 8 bits")
    if picture.mode.startswith("I"):  # {bits} bits, of which the upper eight count
        deep = torch.frombuffer(bytearray(picture.convert("I").tobytes()), dtype=torch.int32)
        if deep.min() < 0 or deep.max() >= 2**16:
            raise ValueError("32-bit pixels, of which white is not known; convert it to 8 bits")
        picture = Image.frombytes("L", picture.size, bytes((deep >> {shift}).clamp(0, 255).tolist()))
    mode = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    if picture.has_transparency_data:
        overlay = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay)
    picture = picture.convert(mode).resize(({width}, {height}), Image.Resampling.BILINEAR).convert({mode!r})
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(1, {height}, {width}, {channels}).permute(0, 3, 1, 2)


@torch.inference_mode()
def predict(files: Sequence[str | Path], network: Network) -> list[dict[str, float]]:
    """Of each picture the probabilities by class, the likeliest first."""
    images = torch.cat([read(file) for file in files]).to(network.classifier.weight.device)
    chances = network(prepare(images)).softmax(1)
    order = chances.argsort(dim=1, descending=True, stable=True).tolist()
    return [{{CLASSES[i]: float(row[i]) for i in best}} for row, best in zip(chances, order)]


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(f"usage: python {{sys.argv[0]}} PICTURE...")
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    network, unreadable = load(), 0
    for file in sys.argv[1:]:
        try:
            [found] = predict([file], network)
        except Exception as error:  # Pillow raises nearly anything on damaged bytes
            print(f"{{file}}: {{error}}", file=sys.stderr)
            unreadable += 1
        else:
            print(file, *(f"{{label}} {{chance:.3f}}" for label, chance in list(found.items())[:3]), sep="  ")
    sys.exit(1 if unreadable else 0)
'''

SEPARABLE = '''

class SeparableBlock(Block):
    """Each channel has a filter of its own first, and the convolution mixes the channels by 1x1."""

    def __init__(self, channels: int, filters: int, size: tuple, stride: tuple, pad: tuple) -> None:
        super().__init__(channels, filters, (1, 1), (1, 1), pad)
        self.depthwise = nn.Conv2d(channels, channels, size, stride, groups=channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return F.{activation}(self.norm(self.conv(self.depthwise(F.pad(maps, self.pad)))))
'''

TEMPLATE = '''\
"""A convolutional network designed by netwright.

    network = load()  # model.safetensors beside this file; needs the package safetensors
    logits = network(prepare(images))  # images: uint8 {image}
{usage}"""

{imports}from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = {classes!r}  # in the order of the logits


def prepare(images: Tensor) -> Tensor:
    """Bytes to floats: each image to zero mean and unit variance{enlarging}."""
    images = images.float()
    images = images - images.mean((1, 2, 3), keepdim=True)
    deviation = images.square().mean((1, 2, 3), keepdim=True).sqrt()
    images = images / deviation.clamp(min=images[0].numel() ** -0.5)
{enlarge}    return images.contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """Convolution, batch normalisation, {name}. ``pad`` is zeros at the left, right, top and bottom."""

    def __init__(self, channels: int, filters: int, size: tuple, stride: tuple, pad: tuple) -> None:
        super().__init__()
        self.pad = pad
        self.conv = nn.Conv2d(channels, filters, size, stride, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps={eps!r})

    def forward(self, maps: Tensor) -> Tensor:
        return F.{activation}(self.norm(self.conv(F.pad(maps, self.pad))))
{separable}

class Network(nn.Module):
    """{parameters:,} parameters; fresh ones, until :func:`load`."""

    def __init__(self) -> None:
        super().__init__()
        # channels in, filters, filter size, stride, padding
{blocks}
        self.classifier = nn.Linear({features}, {number})

    def forward(self, images: Tensor) -> Tensor:
{steps}
        features = ({final}).mean((2, 3))  # global average pooling
        return self.classifier(features)


def load(weights: str | Path | None = None) -> Network:
    """The network with its trained weights, for use; those of ``model.safetensors`` beside this file by default."""
    from safetensors.torch import load_file

    network = Network()
    network.load_state_dict(load_file(weights or Path(__file__).with_name("model.safetensors")))
    return network.eval()
{reading}'''
