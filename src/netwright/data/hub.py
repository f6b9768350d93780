"""``hf:NAME``: any image data set that Hugging Face ``datasets`` loads, from the Hub or from a local path.

``hf:NAME@CONFIG`` is one configuration of a data set that has several.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from netwright.data.listing import LABEL_KEYS, Listing, Rows, Sample, SplitName, shown
from netwright.errors import DataError

SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
}
PROBE_SECONDS = 5.0


def list_hub(name: str) -> Listing:
    """Lists an image data set of the Hub, or of a local path that ``datasets.load_dataset`` understands.

    The images are the first column of the feature ``Image``; for the labels see :func:`_label_column`. Classes that no
    image has are left out.

    Raises:
        DataError: The set cannot be loaded or reached, has no such columns or no split ``train``, or nobody can tell
            which column holds the labels.
    """
    import datasets

    loaded = load_hub(name)
    parts = {SPLITS[split]: part for split, part in loaded.items() if split in SPLITS}
    if "train" not in parts:
        raise DataError(f"hf:{name}: expected a split 'train', got {', '.join(map(repr, loaded))}")
    features = parts["train"].features
    image = next((column for column, kind in features.items() if isinstance(kind, datasets.Image)), None)
    if image is None:
        hint = "; for text: netwright search text, or netwright data check --kind text"
        expected = f"hf:{name}: expected a column of images, got the columns {_columns(features)}"
        raise DataError(expected + hint * bool(columns_of_text(features)))
    label = _label_column(name, features)
    has_names = isinstance(features[label], datasets.ClassLabel)
    warnings = [f"split '{split}' is left out" for split in loaded if split not in SPLITS]
    labels = {split: list(part[label]) for split, part in parts.items()}
    for split, values in labels.items():
        # The Hub publishes the test images of a contest with the label -1.
        if split != "train" and set(values) <= {-1, None}:
            warnings.append(f"split '{split}' has no labels and is left out")
            del parts[split]
    known = range(features[label].num_classes) if has_names else None
    values = sorted(
        {value for split in parts for value in labels[split] if value is not None and (known is None or value in known)}
    )
    if len(values) < 2:
        raise DataError(f"hf:{name}: expected at least two classes in column '{label}', got {len(values)}")
    fingerprints = " ".join(f"{split} {part._fingerprint}" for split, part in parts.items())
    return Listing(
        classes=tuple(features[label].int2str(value) if has_names else str(value) for value in values),
        parts={
            split: Rows(
                partial(
                    _samples, split, part.cast_column(image, datasets.Image(decode=False)), image, labels[split], values
                )
            )
            for split, part in parts.items()
        },
        key=hashlib.sha256(fingerprints.encode()).hexdigest(),
        notes=(f"images from column '{image}', labels from column '{label}'",),
        warnings=tuple(warnings),
    )


def _label_column(name: str, features: Mapping[str, Any]) -> str:
    """The column of the labels: by its feature ``ClassLabel``, by its name, or the only one of integers.

    Columns of integers or texts that are called as labels usually are (:data:`LABEL_KEYS`) are taken for them; without
    such a name texts are captions and paths, and integers may be sizes and numbers of rows.

    Raises:
        DataError: There is none, or several could be meant; names them and the fix.
    """
    import datasets

    named = [column for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    integers = [column for column in features if _type_of(features[column]).startswith(("int", "uint"))]
    by_name = {column.lower(): column for column in (*columns_of_text(features), *integers)}
    called = [by_name[key] for key in LABEL_KEYS if key in by_name]
    if not named and not called and len(integers) != 1:
        found = f"several columns of integers, {shown(integers)}," if integers else f"the columns {_columns(features)}"
        raise DataError(
            f"hf:{name}: expected a column of class labels, got {found} and none is called {' or '.join(LABEL_KEYS)}; "
            "rename the one that is meant to 'label': its classes may be integers or texts"
        )
    return (named or called or integers)[0]


def _type_of(feature: Any) -> str:
    return str(getattr(feature, "dtype", ""))


def _columns(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} ({type(kind).__name__})" for column, kind in features.items())


def _samples(
    split: str, part: Any, image: str, labels: list[int | str | None], values: list[int | str]
) -> Iterator[Sample]:
    index = {value: position for position, value in enumerate(values)}
    for row, (record, label) in enumerate(zip(part, labels, strict=True)):
        stored = record[image] or {}
        file, content = f"{split} row {row}", stored.get("bytes")
        if content is None and stored.get("path"):
            file, content = stored["path"], Path(stored["path"])
        yield Sample(file, content, None if label is None else index.get(label))


def columns_of_text(features: Mapping[str, Any]) -> list[str]:
    """The columns of strings, in their order."""
    return [column for column, kind in features.items() if _type_of(kind) in ("string", "large_string")]


def load_hub(name: str) -> Mapping[str, Any]:
    """All splits of a data set, without decoding anything.

    Args:
        name: Of the data set, or a local path; with ``@`` and the name of a configuration where it has several.

    Raises:
        DataError: It cannot be loaded or reached, or has several configurations of which none is named.
    """
    import datasets

    place, configuration = _place_and_configuration(name)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    online = datasets.config.HF_HUB_OFFLINE
    try:
        if not Path(place).exists() and not _hub_answers(place):
            # Left alone, `datasets` tries for 23 seconds before it looks for its own copy of an earlier download.
            datasets.config.HF_HUB_OFFLINE = True
        loaded = datasets.load_dataset(place, configuration)
    except ConnectionError as error:
        raise DataError(
            f"hf:{name}: the Hugging Face Hub cannot be reached, and no earlier download is in its cache; "
            "go online once, or copy the files here and name their folder (hf:DIR)"
        ) from error
    # Whatever is wrong with foreign files comes out of `datasets` as one of dozens of exceptions.
    except Exception as error:
        if configuration is None and len(several := _configurations(place)) > 1:
            raise DataError(
                f"hf:{name}: expected one of its configurations, {shown(several)}; name it: hf:{place}@{several[0]}"
            ) from error
        raise DataError(f"hf:{name}: cannot be loaded: {error}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = online
    assert isinstance(loaded, Mapping)
    return loaded


def _place_and_configuration(name: str) -> tuple[str, str | None]:
    """The two of ``NAME@CONFIG``; a folder that is there may have the sign in its own name."""
    place, sign, configuration = name.rpartition("@")
    return (name, None) if not sign or Path(name).exists() else (place, configuration)


def _configurations(place: str) -> list[str]:
    """The configurations of a data set; none where that cannot be told."""
    import datasets

    try:
        return list(datasets.get_dataset_config_names(place))
    except Exception:  # whatever kept the data set from being loaded
        return []


def _hub_answers(name: str) -> bool:
    """Whether the Hub says anything about ``name``, be it that there is no such data set."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=PROBE_SECONDS)
    except huggingface_hub.errors.HfHubHTTPError:
        return True
    except Exception:
        return False
    return True
