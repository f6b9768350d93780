"""Data is what children learn from: labelled images, divided so that learning, choosing and testing stay apart.

``load_images`` reads a source by its name (``IMAGE_SOURCES``), ``from_tensors`` and ``from_dataset`` take a user's own;
all give an ``ImageData`` made of ``ImageSplit``. ``check_images`` reads a source and gives a ``DataReport`` with every
``Defect``.
``stratified_order`` and ``hold_out`` divide labelled examples.
"""

from netwright.data.image_report import DataReport, check_images
from netwright.data.image_sources import IMAGE_SOURCES
from netwright.data.images import ImageData, ImageSplit, load_images
from netwright.data.listing import Defect
from netwright.data.own_images import from_dataset, from_tensors
from netwright.data.splits import hold_out, stratified_order

__all__ = [
    "IMAGE_SOURCES",
    "DataReport",
    "Defect",
    "ImageData",
    "ImageSplit",
    "check_images",
    "from_dataset",
    "from_tensors",
    "hold_out",
    "load_images",
    "stratified_order",
]
