"""What people really bring: a test for each situation that was collected, and for siblings of the same kinds.

The numbers are those of the collection. Each fails without what was made for it, which is how it was found.
"""

import json
import logging
import multiprocessing
import os
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

import netwright
from helpers.own import percent
from netwright import from_dataset, from_tensors, machine
from netwright.cli import main as cli
from netwright.config import ExperimentConfig, ImageDataSettings
from netwright.data import check_images, load_images, shared_memory
from netwright.data.text import check_text, load_text
from netwright.errors import DataError, UsageError, command
from netwright.experiment import OwnParts, prepare
from netwright.handed_over import check_strategy
from netwright.recipes import RECIPES, find_recipe
from netwright.search.executor import Limits, plain
from netwright.settings_file import override
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.trial import Evaluation


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def photos(root, classes=("apples", "pears"), n=20, size=16, seed=0, start=0):
    """Small photos of noise, a colour for each class; no two alike."""
    stream = np.random.default_rng(seed)
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = stream.integers(0, 120, (size, size, 3)).astype(np.uint8)
            pixels[..., k % 3] += 100
            Image.fromarray(pixels).save(root / name / f"{start + i}.png")
    return f"images:{root}"


def run(capsys, monkeypatch, *arguments):
    """A command in this process: exit code, output, errors."""
    monkeypatch.setattr(cli.interrupts, "listen", lambda: None)
    monkeypatch.setattr(sys, "argv", ["netwright", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def total(data):
    return sum(len(part) for part in (data.train, data.validation, data.test))


class TestSplitsGivenByTheirUsualNames:
    """Cases 3 and 41, kinds A and G."""

    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("training_set", "test_set"),
            ("seg_train", "seg_test"),
            ("Training Data", "Testing Data"),
            ("1_train", "2_test"),
            ("TrainImages", "TestImages"),
            ("train", "tst"),
        ],
    )
    def test_3_a_ready_split_set_is_read_as_one(self, tmp_path, train, test):
        photos(tmp_path / "set" / train, n=12)
        photos(tmp_path / "set" / test, n=3, seed=1, start=900)
        data = load_images(f"images:{tmp_path / 'set'}")
        assert data.classes == ("apples", "pears")
        assert len(data.test) == 6
        assert f"{train}/ for train" in " ".join(data.report.notes) or train == "train"

    @pytest.mark.parametrize("name", ["dev", "eval", "val_set", "Validation"])
    def test_41_validation_under_its_other_names(self, tmp_path, name):
        photos(tmp_path / "set" / "train", n=12)
        photos(tmp_path / "set" / name, n=4, seed=1)
        assert len(load_images(f"images:{tmp_path / 'set'}").validation) == 8

    def test_parts_inside_each_class(self, tmp_path):
        for label in ("apples", "pears"):
            photos(tmp_path / "set" / label, ("train",), n=12, seed=len(label))
            photos(tmp_path / "set" / label, ("test",), n=3, seed=9 + len(label))
        data = load_images(f"images:{tmp_path / 'set'}")
        assert (data.classes, len(data.test)) == (("apples", "pears"), 6)

    def test_a_part_that_is_repeated_one_level_down(self, tmp_path):
        photos(tmp_path / "set" / "seg_train" / "seg_train", n=12)
        photos(tmp_path / "set" / "seg_test" / "seg_test", n=3, seed=1)
        assert load_images(f"images:{tmp_path / 'set'}").classes == ("apples", "pears")

    @pytest.mark.parametrize("places", [("clinic1", "clinic2"), ("train_a", "train_b"), ("my_test", "my_other")])
    def test_two_readings_are_refused_with_both(self, tmp_path, places):
        for number, place in enumerate(places):
            photos(tmp_path / "set" / place, seed=number, n=6)
        with pytest.raises(DataError, match=r"two readings.*apples/, pears/.*train/CLASS/IMAGE"):
            load_images(f"images:{tmp_path / 'set'}")

    def test_a_class_called_train_with_folders_inside_is_refused_with_both_readings(self, tmp_path):
        """Tried: read as the training part, its folders are the classes, and all other pictures are left out."""
        photos(tmp_path / "set", ("bus", "plane"))
        photos(tmp_path / "set" / "train", ("diesel", "steam"), seed=1)
        readings = r"classes are bus/, plane/, train/, or train/ is what is learned from, and .* are diesel/, steam/\."
        with pytest.raises(DataError, match=rf"two readings: the {readings}.* rename train/ .* move bus/, plane/ away"):
            load_images(f"images:{tmp_path / 'set'}")
        (tmp_path / "set" / "train").rename(tmp_path / "set" / "locomotives")
        assert load_images(f"images:{tmp_path / 'set'}").classes == ("bus", "locomotives", "plane")

    @pytest.mark.parametrize("test", ["seg_test", "test"])
    def test_what_lies_beside_several_parts_is_left_out(self, tmp_path, test):
        photos(tmp_path / "set" / test.replace("test", "train"))
        photos(tmp_path / "set" / test, n=4, seed=1)
        photos(tmp_path / "set", ("seg_pred",), seed=2)
        data = load_images(f"images:{tmp_path / 'set'}")
        assert (data.classes, len(data.test)) == (("apples", "pears"), 8)
        assert "1 ignored, not images in a class folder: seg_pred/" in data.report.warnings

    def test_classes_named_like_parts_stay_classes(self, tmp_path):
        assert load_images(photos(tmp_path / "set", ("train", "plane", "bus"))).classes == ("bus", "plane", "train")


def hub(folder, rows, ending):
    folder.mkdir()
    if ending == "jsonl":
        (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        (folder / "train.csv").write_text("\n".join(lines))
    return f"hf:{folder}"


class TestTextThatIsReadAsItIsMeant:
    """Cases 5, 6 and 37, kind A."""

    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")

    @pytest.mark.parametrize("ending", ["csv", "jsonl"])
    def test_5_the_column_called_text_is_read(self, tmp_path, ending):
        random.seed(1)
        words = ["the", "a", "of", "to", "in", "and", "cat", "dog"]
        rows = [
            {"author": random.choice(["ann", "bob"]), "text": " ".join(random.choices(words, k=9))} for _ in range(90)
        ]
        data = load_text(hub(tmp_path / "set", rows, ending))
        assert set(data.vocabulary) == {"<unk>", "<eos>", *words}
        assert data.report.notes == ("text from column 'text'",)

    def test_several_columns_of_text_without_a_name_are_refused(self, tmp_path):
        source = hub(tmp_path / "set", [{"question": "a b", "answer": "b a"}] * 20, "jsonl")
        with pytest.raises(DataError, match="several columns of text, question, answer"):
            load_text(source)

    def test_6_a_text_that_is_mostly_unknown_is_refused_and_one_that_is_partly_so_warned_of(self, tmp_path):
        random.seed(0)
        ids = tmp_path / "ids.txt"
        ids.write_text("\n".join(" ".join(str(random.randrange(10**9)) for _ in range(10)) for _ in range(300)))
        with pytest.raises(DataError, match=r"91% of the validation part are <unk>.*data.unit=character"):
            load_text(f"text:{ids}")
        assert check_text(f"text:{ids}").defects
        partly = tmp_path / "partly.txt"
        partly.write_text("\n".join(f"a b c d e f g {random.randrange(10**9)}" for _ in range(400)))
        assert "11% of the validation part are <unk>" in " ".join(load_text(f"text:{partly}").report.warnings)

    def test_a_small_vocabulary_is_no_way_to_a_good_reward(self, tmp_path):
        (tmp_path / "many.txt").write_text("\n".join(" ".join(f"w{k}" for k in range(60)) for _ in range(60)))
        with pytest.raises(DataError, match="are <unk>"):
            load_text(f"text:{tmp_path / 'many.txt'}", max_vocabulary=5)

    def test_37_a_text_of_a_few_words(self, tmp_path):
        (tmp_path / "t.txt").write_text("the cat sat\non the mat\nthe dog ran\n" * 4)
        warnings = load_text(f"text:{tmp_path / 't.txt'}").report.warnings
        assert [warning.split(":")[0] for warning in warnings] == [
            "the validation part has only 5 words",
            "the test part has only 5 words",
        ]

    def test_files_beside_those_that_are_read_are_named(self, tmp_path):
        for name in ("train", "testing"):
            (tmp_path / f"{name}.txt").write_text("a b c d\n" * 20)
        (tmp_path / "more.txt").write_text("a")
        assert "1 other files of text are left out: more.txt" in load_text(f"text:{tmp_path}").report.warnings


class TestPicturesThatAreReadAsTheyAre:
    """Cases 7, 16, 17, 29, 30 and 38, kind A."""

    @pytest.mark.parametrize(("bits", "ending"), [(10, "png"), (12, "png"), (12, "tif"), (14, "png"), (16, "png")])
    def test_7_deep_pixels_are_scaled_by_the_range_of_the_source(self, tmp_path, bits, ending):
        stream = np.random.default_rng(0)
        for k, label in enumerate(("healthy", "sick")):
            (tmp_path / "xray" / label).mkdir(parents=True)
            for i in range(12):
                pixels = stream.integers(0, 2**bits, (16, 16)) // (1 + k)
                pixels[0, 0] = 2**bits - 1
                Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / "xray" / label / f"{i}.{ending}")
        data = load_images(f"images:{tmp_path / 'xray'}")
        assert len(data.train.images.unique()) > 200
        assert data.bits == bits
        assert f"pixels of {bits} bits, scaled to 8" in data.report.notes
        assert torch.equal(load_images(f"images:{tmp_path / 'xray'}").train.images, data.train.images)

    def test_8_bits_in_deep_files_stay_as_they_are(self, tmp_path):
        """Tried: taken for 10 bits, a quarter of their levels is left, and nobody says so."""
        stream = np.random.default_rng(0)
        for label in "ab":
            (tmp_path / "x" / label).mkdir(parents=True)
            for i in range(12):
                pixels = stream.integers(0, 256, (16, 16)).astype(np.uint16)
                Image.fromarray(pixels).save(tmp_path / "x" / label / f"{i}.png")
        data = load_images(f"images:{tmp_path / 'x'}")
        assert data.bits == 8
        assert "pixels of 8 bits, in files of more" in data.report.notes
        pictures = torch.cat([data.train.images, data.validation.images, data.test.images])
        assert len(pictures.unique()) == 256
        assert any(np.array_equal(pixels, picture[0]) for picture in pictures.numpy())

    def test_deep_pixels_that_fill_little_of_their_range_are_warned_of(self, tmp_path):
        for k, label in enumerate("ab"):
            (tmp_path / "x" / label).mkdir(parents=True)
            for i in range(12):
                Image.fromarray(np.full((8, 8), 300 + i + 20 * k, np.uint16)).save(tmp_path / "x" / label / f"{i}.png")
        assert "levels are left" in " ".join(load_images(f"images:{tmp_path / 'x'}").report.warnings)

    @pytest.mark.parametrize("ending", [".jfif", ".jpe", ".pgm", ".pbm", ".dib", ".JPEG"])
    def test_16_other_endings_of_formats_that_are_read(self, tmp_path, ending):
        source = photos(tmp_path / "ph")
        for i in range(12):
            file = tmp_path / "ph" / "pears" / f"{i}.png"
            mode, form = {".pgm": ("L", "PPM"), ".pbm": ("1", "PPM"), ".dib": ("RGB", "DIB")}.get(
                ending, ("RGB", "JPEG")
            )
            Image.open(file).convert(mode).save(file.with_suffix(ending), form)
            file.unlink()
        assert total(load_images(source)) == 40

    @pytest.mark.parametrize("ending", [".heic", ".avif", ".jp2", ".nef", ".DCM"])
    def test_16_pictures_of_a_format_that_is_not_read_are_defects(self, tmp_path, ending):
        source = photos(tmp_path / "ph")
        (tmp_path / "ph" / "pears" / f"phone{ending}").write_bytes(b"x")
        with pytest.raises(DataError, match=rf"phone{ending} is .*which is not read; convert it to PNG or JPEG"):
            load_images(source)

    def test_what_is_left_out_is_said(self, tmp_path):
        source = photos(tmp_path / "ph")
        (tmp_path / "ph" / "pears" / "notes.txt").write_text("x")
        assert "1 ignored, not images in a class folder: pears/notes.txt" in load_images(source).report.warnings

    @pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX", ".thumbnails"])
    def test_17_folders_of_the_system_inside_a_class(self, tmp_path, name):
        source = photos(tmp_path / "ph")
        photos(tmp_path / "ph" / "apples" / name, ("0.png",), n=5, size=8)
        data = load_images(source)
        assert total(data) == 40
        assert name in " ".join(data.report.warnings)

    def test_38_an_archive_of_a_mac(self, tmp_path):
        source = photos(tmp_path / "ph")
        (tmp_path / "ph" / "__MACOSX" / "apples").mkdir(parents=True)
        (tmp_path / "ph" / "__MACOSX" / "apples" / "._0.png").write_bytes(b"\0\5\x16\7" + bytes(100))
        data = load_images(source)
        assert data.classes == ("apples", "pears")
        assert "folders that a system made are left out: __MACOSX (1)" in data.report.warnings

    def test_29_a_png_with_a_long_text(self, tmp_path):
        source = photos(tmp_path / "ph")
        text = PngImagePlugin.PngInfo()
        text.add_text("workflow", "x" * (3 << 20), zip=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "ph" / "apples" / "made.png", pnginfo=text)
        assert total(load_images(source)) == 41

    def test_30_a_picture_of_more_pixels_than_are_safe(self, tmp_path, monkeypatch):
        source = photos(tmp_path / "ph")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 250_000)
        Image.new("RGB", (640, 480), (40, 160, 90)).save(tmp_path / "ph" / "apples" / "phone.jpg")
        with pytest.raises(DataError, match="has 0 megapixels, more than the 0 that are read safely; make it smaller"):
            load_images(source)
        data = load_images(source, image_size=16)  # at a fraction
        assert total(data) == 41
        Image.new("RGB", (640, 480)).save(tmp_path / "ph" / "apples" / "map.png")
        with pytest.raises(DataError, match=r"map\.png has 0 megapixels"):
            load_images(source, image_size=16)


class TestPartsThatTellTheTruth:
    """Cases 8, 13, 14 and 37, kind G."""

    def test_8_copies_stay_on_one_side(self, tmp_path):
        stream = np.random.default_rng(0)
        for scene in range(60):
            folder = tmp_path / "burst" / ("good" if stream.random() < 0.5 else "bad")
            folder.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(stream.integers(0, 255, (8, 8, 3)).astype(np.uint8))
            for copy in range(4):
                image.save(folder / f"{scene:02}_{copy}.{'png' if copy % 2 else 'bmp'}")
        data = load_images(f"images:{tmp_path / 'burst'}", validation=0.2)
        seen = [{image.numpy().tobytes() for image in part.images} for part in (data.train, data.validation, data.test)]
        assert not seen[0] & seen[1]
        assert not seen[0] & seen[2]
        assert not seen[1] & seen[2]
        assert (len(data.test), len(data.validation)) == (48, 36)
        assert "the same image twice in train (180)" in " ".join(data.report.warnings)
        for part in (data.validation, data.test):
            assert part.labels.bincount(minlength=2).min() > 0

    @pytest.mark.parametrize("group", ["folder", r"(scene\d+)/", r"scene\d+"])
    def test_groups_that_a_user_names_stay_together(self, tmp_path, group):
        for scene in range(12):
            photos(tmp_path / "ph" / ("cats" if scene % 2 else "dogs"), (f"scene{scene:02}",), n=5, seed=scene)
        data = load_images(f"images:{tmp_path / 'ph'}", validation=0.2, group=group)
        for part in (data.train, data.validation, data.test):
            assert len(part) % 5 == 0
        with pytest.raises(DataError, match="is found in no path"):
            load_images(f"images:{tmp_path / 'ph'}", group="nowhere")

    def test_a_group_that_is_no_expression_is_refused_by_name(self):
        with pytest.raises(UsageError, match=r"data.group: expected 'folder' or a regular expression, got '\('"):
            override(find_recipe("images"), {"data.group": "("})

    def test_copies_in_arrays_stay_on_one_side(self):
        images = np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype(np.uint8).repeat(4, 0)
        data = from_tensors(images, np.arange(30).repeat(4) % 2, validation=0.25)
        train = {image.numpy().tobytes() for image in data.train.images}
        assert not any(image.numpy().tobytes() in train for image in data.validation.images)

    @pytest.mark.parametrize("rare", [3, 5])
    def test_13_a_rare_class_is_in_every_part_and_its_share_is_said(self, tmp_path, rare):
        photos(tmp_path / "ph", ("ok",), 150, 4)
        source = photos(tmp_path / "ph", ("defect",), rare, 4, 9)
        data = load_images(source)
        for part in (data.train, data.validation, data.test):
            assert part.labels.bincount(minlength=2)[0] > 0
        assert "of the validation part are of class 'ok'" in " ".join(data.report.warnings)

    def test_a_class_of_two_is_missed_aloud(self, tmp_path):
        photos(tmp_path / "ph", ("ok",), 60, 4)
        data = load_images(photos(tmp_path / "ph", ("defect",), 1, 4, 9))
        assert "the validation part has no images of class 'defect'" in " ".join(data.report.warnings)

    def test_14_a_limit_keeps_every_class(self, tmp_path):
        source = photos(tmp_path / "many", [f"id{c:02}" for c in range(30)], 3, 4)
        with pytest.raises(DataError, match=r"at least 30 training images, one of each class, got 10.*train_limit=30"):
            load_images(source, train_limit=10)
        data = load_images(source, train_limit=30)
        assert len(data.train.labels.unique()) == len(data.validation.labels.unique()) == 30

    def test_37_eight_photos(self, tmp_path):
        data = load_images(photos(tmp_path / "tiny", n=4))
        assert "validation part has only 2 images: an accuracy moves in steps of 0.5" in " ".join(data.report.warnings)


X = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)
Y = np.arange(60) % 3


class TestTheDoorFromPython:
    """Cases 10, 18, 20, 21, 25, 28 and 40, kind C."""

    @pytest.mark.parametrize("pair", [(X, Y), [X, Y], torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))])
    def test_10_parts_as_a_tuple_a_list_or_a_data_set(self, pair):
        data = from_tensors(X[::-1].copy(), Y, test=pair, validation=pair)
        assert (len(data.train), len(data.validation), len(data.test)) == (60, 60, 60)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"test": X}, r"test: expected images and labels, test=\(images, labels\), got ndarray"),
            ({"test": (X, Y, X)}, "got 3 things"),
            ({"validation": None}, "validation: expected a number of images, a share .* got None"),
            ({"validation": True}, "got True"),
            ({"validation": "0.1"}, "got '0.1'"),
            ({"validation": X}, "validation: expected images and labels"),
        ],
    )
    def test_10_anything_else_is_refused_by_name(self, given, said):
        with pytest.raises(DataError, match=said):
            from_tensors(X, Y, **given)

    @pytest.mark.parametrize(("share", "held"), [(np.int64(12), 12), (np.float32(0.2), 12), (np.float64(0.1), 6)])
    def test_10_numbers_of_numpy_are_numbers(self, share, held):
        assert len(from_tensors(X, Y, validation=share).validation) == held

    @pytest.mark.parametrize(
        ("images", "labels"),
        [
            (X.astype(np.int32), Y),
            (np.asfortranarray(X), Y),
            (X[:, ::-1, ::-1], Y),
            (np.where(X > 250, 1 + 1e-6, X / 255), Y),
            (X > 127, Y),
            (list(X), list(Y)),
            (X, np.array(["a", "b", "c"])[Y]),
            (X, Y[:, None]),
            (X, Y.astype(object)),
            (X, torch.tensor(Y, dtype=torch.int32)),
            (X, np.array(["a", "b", "c"], object)[Y]),
            (X, Y.astype(np.uint16)),
        ],
    )
    def test_25_arrays_as_they_come(self, images, labels):
        data = from_tensors(images, labels)
        assert data.num_classes == 3
        assert data.train.labels.bincount().tolist() == [18, 18, 18]

    @pytest.mark.parametrize(
        ("images", "labels", "said"),
        [
            (X.astype(np.uint16) * 16, Y, "got 0 to 4080; use images / 4095"),
            (X.astype(np.uint16) * 257, Y, "use images / 65535"),
            (np.where(X > 254, np.nan, X / 255), Y, r"NaN or infinite, in \d+ images, the first at \d"),
            (X / 255 / 255, Y, "of which less than 3 levels"),
            (X / 127.5 - 1, Y, "give images as they are before normalisation"),
            (X, np.array(["a", None, "c"], object)[Y], "texts, got None at 1"),
            (X, np.eye(3)[Y], r"use labels.argmax\(1\) if they are one-hot"),
            (X[:, :, :, None].repeat(3, 3), Y, r"use images.transpose\(0, 3, 1, 2\)"),
            (X + 1j, Y, "got torch.complex128"),
            ("photos", Y, "expected "),
            ([X[0], X[1, :4]], [0, 1], "expected "),
        ],
    )
    def test_25_what_is_not_clear_is_refused_with_what_to_do(self, images, labels, said):
        with pytest.raises(DataError, match=said):
            from_tensors(images, labels)

    def test_the_advice_can_be_followed(self):
        assert len(from_tensors(X.astype(np.uint16) * 16 / 4095, Y).train.images.unique()) > 200

    @pytest.mark.parametrize(
        "rows", [[{"image": x, "label": int(y)} for x, y in zip(X, Y, strict=True)], list(zip(X, Y, strict=True))]
    )
    def test_data_sets_of_records_and_of_pairs(self, rows):
        assert from_dataset(rows).num_classes == 3

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (({"jpg": x} for x in X), "a data set with a length"),
            ([{"jpg": x, "cls": 0} for x in X], "one with jpg, cls at 0"),
            ([(x, 0, "more") for x in X], "got 3 things at 0"),
            ({"image": X, "label": Y}, "a data set with a length whose items are numbered, got dict"),
        ],
    )
    def test_other_data_sets_are_refused(self, rows, said):
        with pytest.raises(DataError, match=said):
            from_dataset(rows)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (
                {"settings": {"data.train_limit": 20, "data.image_size": 16}},
                "data.train_limit, data.image_size: do not apply",
            ),
            ({"data": (X, Y)}, "data: expected what netwright.from_tensors"),
            ({"data": "images:photos"}, "data: expected data, got the text 'images:photos'"),
            (
                {"data": None, "evaluator": dict},
                r"evaluator: expected an object, got the class dict; make one: dict\(\)",
            ),
            ({"data": None, "evaluator": 3}, "has no evaluate"),
            ({"data": None, "evaluator": lambda architecture: 0.5}, r"expected to take \(architecture, seed, report\)"),
            ({"space": [1, 2]}, "space: expected a SearchSpace, got a list"),
            ({"strategy": "random"}, r"settings=\{'strategy.name': 'random'\}"),
            ({"observer": print}, "observer: expected an object with started"),
            ({"task": "images"}, "task: expected a netwright.tasks.Kind"),
            ({"settings": ["child.epochs=3"]}, "settings: expected values by name"),
            ({"settings": {3: 4}}, "expected the names of settings as texts"),
            ({"trials": 0}, "search.trials"),
            ({"trials": "many"}, "search.trials"),
            ({"out": None}, "out: expected a path, got None"),
            ({"recipe": 7}, "recipe: expected a path, got 7"),
        ],
    )
    def test_18_and_28_a_mistake_is_answered_at_the_call(self, tmp_path, arguments, said):
        given = {"recipe": "digits", "out": "run", "data": from_tensors(X, Y)} | arguments
        with pytest.raises(UsageError, match=said):
            netwright.run_search(**given)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("make", [netwright.Reinforce, netwright.ReinforceReplay, netwright.RandomSearch])
    def test_a_strategy_is_for_one_search(self, make):
        """Tried: used twice, Reinforce ends the second search at once with no trial, and without a word."""
        strategy = make(ChoiceSpace("line", (Choice("x", (0, 1, 2)),)))
        check_strategy(strategy)
        (proposal,) = strategy.ask(1)
        with pytest.raises(UsageError, match=rf"expected a fresh one; this {make.__name__} .*Make it in the call"):
            netwright.run_search("digits", "run", strategy=strategy)
        assert not os.path.exists("run")
        told = make(ChoiceSpace("line", (Choice("x", (0, 1, 2)),)))
        told.tell(proposal, 0.5)
        with pytest.raises(UsageError, match="or was told, something already"):
            check_strategy(told)

    def test_18_a_configuration_says_only_what_holds(self):
        from netwright.library import _without

        config = _without(find_recipe("images"), OwnParts(data=from_tensors(X, Y)))
        assert config.data == ImageDataSettings(source="python")

    def test_20_a_script_without_the_guard_is_told_of_it(self, monkeypatch):
        """As multiprocessing marks a process that is still importing the script."""
        monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
        with pytest.raises(SystemExit, match='if __name__ == "__main__":'):
            netwright.run_search("digits", "run")
        assert not os.path.exists("run")

    def test_40_a_daemonic_parent_is_told_before_a_folder_is_made(self, monkeypatch):
        monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
        with pytest.raises(UsageError, match="ProcessPoolExecutor"):
            netwright.run_search("digits", "run")
        assert not os.path.exists("run")

    def test_21_options_may_be_what_optuna_takes(self):
        options = ((0.1, 0.01), (True, False), (None, 1), (0, 0.5), tuple(np.array([8, 16])), ("a", 1, None))
        space = ChoiceSpace("s", tuple(Choice(f"c{n}", of) for n, of in enumerate(options)))
        for tokens in ((0,) * 6, (1,) * 6):
            architecture = space.decode(tokens)
            again = type(architecture).model_validate_json(architecture.canonical_json())
            assert space.encode(again) == tokens
            assert [type(value) for _, value in again.choices] == [type(value) for _, value in architecture.choices]

    @pytest.mark.parametrize(
        "options", [(), "relu", (1, 1), (1, True), (float("nan"), 1), ((1, 2), (3, 4)), (torch.relu,), 7]
    )
    def test_21_other_options_are_refused_by_name_when_they_are_made(self, options):
        with pytest.raises(ValueError, match="act: expected"):
            Choice("act", options)

    def test_28_what_an_evaluator_may_return_and_report(self, caplog):
        assert plain(0.5) == Evaluation(valid=0.5)
        assert plain(Evaluation(valid=0.5, metrics={"auc": float("nan"), "kernel": "rbf"})) == Evaluation(valid=0.5)
        assert Limits(worst=(0.1,)).allow(0, 0.0)

    @pytest.mark.slow
    def test_28_a_function_is_an_evaluator_and_a_percentage_is_doubted(self, tmp_path, caplog):
        space = ChoiceSpace("s", (Choice("n", (1, 2)),))
        with netwright.run_search(
            "digits", tmp_path / "run", space=space, evaluator=percent, trials=1, settings={"search.workers": 1}
        ) as found:
            assert found.trials()["valid"].tolist() == [92.0]
        assert "give shares, not percentages" in caplog.text


class TestTheMachine:
    """Cases 12, 26, 27 and 33, kinds D and H."""

    def test_12_images_that_do_not_fit_are_refused_before_they_are_read(self, tmp_path, monkeypatch):
        source = photos(tmp_path / "ph", size=32)
        monkeypatch.setattr("netwright.data.survey.available_bytes", lambda: 2 * machine.resident_bytes() + 2**15)
        with pytest.raises(DataError, match=r"got 40 of 32x32; make them smaller, e.g. --set data.image_size=64"):
            load_images(source)

    def test_26_no_shared_memory(self, monkeypatch):
        monkeypatch.setattr(shared_memory, "FOLDER", "/nowhere/shm")
        with pytest.raises(DataError, match=r"shared memory .* 0 MiB in /nowhere/shm; .*--shm-size"):
            from_tensors(X, Y).share_memory()

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"cpu.max": "100000 100000"}, 1),
            ({"cpu.max": "150000 100000"}, 2),
            ({"cpu.max": "max 100000"}, None),
            ({"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 1),
            ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ],
    )
    def test_33_a_quota_limits_the_cores(self, tmp_path, monkeypatch, files, expected):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        monkeypatch.setattr(machine, "control_groups", lambda controller: [tmp_path])
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
        assert machine.cores() == (expected or 64)

    @pytest.mark.parametrize("name", ["array", "socket"])
    def test_27_a_file_named_as_a_module_of_python(self, tmp_path, name):
        """Where a worker starts. Tried: without the safe path, the worker imports the file."""
        (tmp_path / f"{name}.py").write_text("raise ImportError('my notes')")
        code = (
            "import sys; sys.path[:] = [p for p in sys.path if p]\n"
            "from contextlib import closing\n"
            "from netwright.runtime.process_pool import ProcessPool\n"
            "from netwright.testing.executors import Obedient, job\n"
            "if __name__ == '__main__':\n"
            "    with closing(ProcessPool([Obedient()])) as pool:\n"
            "        pool.submit(job(0)); print(pool.wait()[0].result)\n"
        )
        script = tmp_path / "elsewhere" / "s.py"
        script.parent.mkdir()
        script.write_text(code)
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert "Evaluation" in done.stdout, done.stderr

    def test_an_import_that_fails_teaches_nothing(self):
        from netwright.search.executor import failure_of
        from netwright.search.reward import reward_of

        for error in (ImportError("cannot import name 'array'"), OSError(28, "No space left on device")):
            assert reward_of(failure_of(error), find_recipe("digits").reward) is None


class TestCommands:
    """Cases 23, 34 and 41, kinds E and F."""

    def test_34_a_command_that_is_shown_can_be_pasted(self):
        assert command("search", "--resume", "my run #1") == "netwright search --resume 'my run #1'"

    def test_41_a_space_that_is_made_less_deep_takes_its_schedule_along(self):
        config = override(find_recipe("images"), {"space.depth": 3})
        assert config.depth is None or config.depth.cap <= 3
        with pytest.raises(UsageError, match=r"depth.cap"):
            override(find_recipe("cifar10-small"), {"space.depth": 3, "depth.cap": 5})

    def test_41_python_minus_m(self):
        done = subprocess.run(
            [sys.executable, "-m", "netwright", "--version"], capture_output=True, text=True, timeout=60
        )
        assert done.stdout.startswith("netwright ")

    @pytest.mark.slow
    def test_23_a_search_of_which_nothing_came_ends_with_5(self, tmp_path, capsys, monkeypatch):
        code, _, err = run(
            capsys, monkeypatch, "search", "--workers", 1, "--trials", 2, "--no-verdict", "--quiet",
            "--set", "search.child_memory_mb=10", "--set", "verdict.references=[]", "--out", tmp_path / "run",
        )  # fmt: skip
        assert code == 5, err
        assert "all 2 trials failed" in err


SOURCES = {
    "plain": lambda root: photos(root / "ph"),
    "system folders": lambda root: (photos(root / "ph"), photos(root / "ph" / "apples" / "@eaDir", ("x",), 2))[0],
    "rare": lambda root: (photos(root / "ph", ("ok",), 60, 4), photos(root / "ph", ("bad",), 1, 4, 5))[1],
    "parts": lambda root: (photos(root / "ph" / "train_set"), photos(root / "ph" / "test_set", n=3))[0].rsplit("/", 1)[
        0
    ],
    "tiny": lambda root: photos(root / "ph", n=4),
}


@pytest.mark.parametrize("made", SOURCES.values(), ids=SOURCES.keys())
def test_a_search_warns_of_what_data_check_warns_of(tmp_path, made, caplog):
    """Kind A: one report, by one piece of code. Tried: with the copies left out of one of the two."""
    source = made(tmp_path)
    alone = {"verdict.references": [], "verdict.at_end": False}
    config = override(find_recipe("images"), {"data.source": source, "search.workers": 1} | alone)
    with caplog.at_level(logging.WARNING, "netwright.experiment"):
        parts = prepare(config)
    report = check_images(source, image_size=32, validation=config.data.validation)
    said = [
        record.getMessage().removeprefix(f"{source}: ")
        for record in caplog.records
        if record.name == "netwright.experiment"
    ]
    assert said == list(report.warnings)
    assert parts.report == report.to_json()
    assert json.loads(json.dumps(parts.report)) == parts.report


needs_data = pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder of data")

FREE = ("digits", "text", "text-words")
"""Recipes whose data need no file; ``images`` has none of its own."""


LARGE = ("cifar10", "cifar10-pooling", "cifar10-strides")

OF_FILES = [pytest.mark.data, needs_data, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    "recipe",
    [
        *FREE,
        *(
            # The larger recipes take minutes, of the data of cifar10-small.
            pytest.param(name, marks=[*OF_FILES, *([pytest.mark.long] if name in LARGE else [])])
            for name in RECIPES
            if name not in (*FREE, "images")
        ),
    ],
)
def test_a_recipe_warns_of_what_data_check_warns_of_for_its_source(recipe, capsys, caplog):
    """Line by line. Tried: with the first warning left out of the report's lines, texts differ."""
    config = find_recipe(recipe)
    with caplog.at_level(logging.WARNING, "netwright.experiment"):
        prepare(config)
    logged = [record.args for record in caplog.records if record.name == "netwright.experiment"]
    cli.app(["data", "check", config.data.source, "--recipe", recipe], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    (start,) = [place for place, line in enumerate(lines) if re.fullmatch(r"\d+ warnings?", line)]
    assert [line.removeprefix("  ") for line in lines[start + 1 :]] == [warning for _, warning in logged]


def test_the_report_is_kept_in_the_run_folder(tmp_path):
    from netwright.store.run_folder import RunFolder

    report = {"source": "x", "warnings": ["w"]}
    RunFolder.create(tmp_path / "run", ExperimentConfig(name="x"), {}, report=report).store.close()
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == report
