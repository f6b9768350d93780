"""Folders of images with one defect each: refused by name with the fix, and reported without stopping."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from netwright.cli.main import app
from netwright.data import check_images, decoding, load_images, survey
from netwright.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten RGB images, 8 x 8 pixels of noise."""
    noise = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            image = Image.fromarray(noise.integers(0, 256, (8, 8, 3), np.uint8))
            image.save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def refusal(photos: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_images(f"images:{photos}")
    assert caught.value.exit_code == 2
    return str(caught.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises an image of this size and holds none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    end = b"\x00\x00\x00\x00IEND\xaeB`\x82"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


def cut(file: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(file)
    file.write_bytes(file.read_bytes()[:900])


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "zero bytes": ("bad.png", Path.touch, "is empty (0 bytes)"),
    "text": ("bad.png", lambda file: file.write_text("hello"), "is no image in a known format"),
    "cut jpeg": ("bad.jpg", cut, "cannot be decoded: image file is truncated"),
    "cut png": ("bad.png", cut, "cannot be decoded: "),
    "bomb": (
        "bad.png",
        lambda file: file.write_bytes(png_header(50_000, 50_000)),
        "has 2,500 megapixels, more than the 89 that are read safely; make it smaller",
    ),
    "small bomb": (
        "bad.png",
        lambda file: file.write_bytes(png_header(10_000, 10_000)),
        "has 100 megapixels, more than",
    ),
    "broken link": ("bad.png", lambda file: file.symlink_to("nowhere.png"), "is a broken link or no regular file"),
    "pipe": ("bad.png", os.mkfifo, "is a broken link or no regular file"),
    "float": (
        "bad.tif",
        lambda file: Image.fromarray(np.zeros((8, 8), np.float32)).save(file),
        "cannot be decoded: floating-point pixels, of which white is not known; convert it to 8 bits",
    ),
    "postscript": (
        "bad.png",
        lambda file: file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"),
        "is no image in a known format",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_by_name_with_the_fix(photos: Path, kind: str) -> None:
    """Tried: without the catching of what Pillow does not know, the message is another."""
    name, make, problem = BAD_FILES[kind]
    make(photos / "cats" / name)
    message = refusal(photos)
    assert message.startswith(f"images:{photos}: 1 of 21 images cannot be used: \n  cats/{name} {problem}")
    assert message.endswith("Remove or replace them, or leave them out with --set data.skip_bad=0.048")


def test_what_the_fix_proposes_works(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    (photos / "cats" / "bad.png").touch()
    data = load_images(f"images:{photos}", skip_bad=0.048)
    assert data.test is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 20
    assert "1 of 21 images cannot be used and are left out" in caplog.text
    with pytest.raises(DataError, match="cannot be used"):
        load_images(f"images:{photos}", skip_bad=0.04)


def test_every_bad_file_is_named_up_to_ten(photos: Path) -> None:
    for index in range(13):
        (photos / "dogs" / f"bad{index:02}.png").touch()
    message = refusal(photos)
    assert "13 of 33 images" in message
    assert "bad09.png" in message
    assert "bad10.png" not in message
    assert "\n  and 3 more\n" in message


def test_nothing_readable_at_all_is_said(photos: Path) -> None:
    for file in photos.glob("*/*.png"):
        file.write_bytes(b"")
    assert "expected readable images in 'train', got none, dogs/9.png: is empty (0 bytes)" in refusal(photos)


def test_an_empty_class_folder_is_named(photos: Path) -> None:
    (photos / "birds").mkdir()
    assert "\n  birds/ has no images; fill it or remove the class" in refusal(photos)


def test_a_single_class_is_refused(photos: Path) -> None:
    (photos / "dogs").rename(photos.parent / "dogs")
    assert "cats/ is the only class; a classifier needs two or more" in refusal(photos)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nothing")
    assert (
        message
        == f"{tmp_path / 'nothing'}: expected a folder with one folder per class, got: No such file or directory; "
        "name yours, e.g. --data images:DIR"
    )


def test_images_without_class_folders_are_explained(photos: Path) -> None:
    assert "cats/CLASS/, got 0 folders and no image in them" in refusal(photos / "cats")


def test_splits_without_class_folders_are_not_taken_for_classes(photos: Path) -> None:
    (photos / "cats").rename(photos / "train")
    (photos / "dogs").rename(photos / "test")
    assert "expected a folder per class in test/ and in train/, got none" in refusal(photos)


def test_a_class_that_only_the_test_part_has_is_refused(photos: Path) -> None:
    (photos / "train").mkdir()
    (photos / "test" / "birds").mkdir(parents=True)
    for name in ("cats", "dogs"):
        (photos / name).rename(photos / "train" / name)
    Image.new("RGB", (8, 8)).save(photos / "test" / "birds" / "0.png")
    assert "train/birds/ has no images; fill it or remove the class" in refusal(photos)
    assert "the test part has no images of class 'cats'" in check_images(f"images:{photos}").warnings


def test_mixed_sizes_are_counted_and_the_fix_works(photos: Path) -> None:
    Image.new("RGB", (6, 9)).save(photos / "cats" / "tall.png")
    assert refusal(photos) == (
        f"images:{photos}: expected images of one size, got (width x height, images) 8x8 (20), 6x9 (1); "
        "resize all to one square with --set data.image_size=8"
    )
    data = load_images(f"images:{photos}", image_size=8)
    assert (data.height, data.width) == (8, 8)


def test_images_that_do_not_fit_into_memory_are_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "memory_for_images", lambda: 7 * 8 * 8 * 3)
    assert "got 20 of 8x8; make them smaller, e.g. --set data.image_size=64" in refusal(photos)


def test_too_few_images_for_a_validation_part(photos: Path) -> None:
    with pytest.raises(
        DataError, match=r"expected at least 102 images, to hold out 100 .* got 16; add images, bring a part"
    ):
        load_images(f"images:{photos}", validation=100)


def test_grey_images_among_colour_become_rgb(photos: Path) -> None:
    Image.new("L", (8, 8), 7).save(photos / "cats" / "grey.png")
    data = load_images(f"images:{photos}")
    assert data.channels == 3
    assert data.test is not None
    images = torch.cat([data.train.images, data.validation.images, data.test.images])
    assert sum(bool((image == 7).all()) for image in images) == 1
    assert "grey images (1) among RGB (20): all become RGB" in check_images(f"images:{photos}").warnings


def test_hidden_and_foreign_files_are_ignored_and_loops_end(photos: Path) -> None:
    (photos / "cats" / ".DS_Store").write_bytes(b"x")
    (photos / ".cache").mkdir()
    (photos / "cats" / "notes.txt").write_text("x")
    (photos / "README.md").write_text("x")
    (photos / "cats" / "loop").symlink_to(photos)
    (photos / "cats" / "more").mkdir()
    Image.new("RGB", (8, 8)).save(photos / "cats" / "more" / "DEEP.PNG")
    report = check_images(f"images:{photos}")
    assert report.counts == {"train": {"cats": 11, "dogs": 10}}
    assert report.defects == ()
    assert report.warnings[:2] == (
        "2 ignored, not images in a class folder: README.md, cats/notes.txt",
        "links to folders are not followed: cats/loop",
    )


def test_a_name_that_is_no_text_can_be_reported(photos: Path) -> None:
    Path(os.fsdecode(os.fsencode(photos) + b"/cats/\xff.png")).touch()
    assert "cats/\\udcff.png is empty" in refusal(photos).encode("utf-8").decode()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (2, 2), 1), [255]),
        (Image.new("L", (2, 2), 9), [9]),
        (Image.new("I;16", (2, 2), 0x1234), [0x12]),
        (Image.new("P", (2, 2), 0), [0, 0, 0]),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), [255, 255, 255]),
        (Image.new("RGBA", (2, 2), (10, 20, 30, 255)), [10, 20, 30]),
        (Image.new("LA", (2, 2), (0, 0)), [255]),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), [255, 0, 0]),
    ],
    ids=["1", "L", "I;16", "P", "clear", "opaque", "LA", "CMYK"],
)
def test_every_mode_becomes_grey_or_rgb(image: Image.Image, expected: list[int]) -> None:
    assert decoding.pixels(image).tolist() == [[[value] * 2] * 2 for value in expected]


def test_images_of_unknown_range_are_refused() -> None:
    with pytest.raises(ValueError, match="32-bit pixels"):
        decoding.pixels(Image.new("I", (2, 2), 2**20))


def test_exif_orientation_and_animation(photos: Path) -> None:
    for index, name in enumerate(["cats", "dogs"]):
        for file in (photos / name).iterdir():
            file.unlink()
        for copy in range(3):
            image = Image.new("L", (4, 2), 50 * index + copy)
            exif = Image.Exif()
            exif[0x0112] = 6  # Turned by a quarter: shown 2 wide and 4 high.
            image.save(photos / name / f"{copy}.jpg", exif=exif)
        frames = [Image.new("L", (2, 4), shade) for shade in (200, 100)]
        frames[0].save(photos / name / "a.gif", save_all=True, append_images=frames[1:])
    report = check_images(f"images:{photos}")
    assert report.sizes == {(4, 2): 8}
    data = load_images(f"images:{photos}", validation=2)
    assert data.test is not None
    shades = torch.cat([data.train.images, data.validation.images, data.test.images])
    assert 200 in shades
    assert 100 not in shades


def test_a_report_has_everything_and_stops_at_nothing(photos: Path) -> None:
    (photos / "birds").mkdir()
    (photos / "cats" / "a.png").touch()
    (photos / "dogs" / "z.png").write_text("text")
    (photos / "dogs" / "copy.png").write_bytes((photos / "cats" / "0.png").read_bytes())
    Image.new("RGB", (6, 9)).save(photos / "cats" / "tall.png")
    report = check_images(f"images:{photos}")
    assert [defect.file for defect in report.defects] == ["birds/", "cats/a.png", "dogs/z.png", "(all files)"]
    assert report.counts == {"train": {"birds": 0, "cats": 11, "dogs": 11}}
    assert report.sizes == {(8, 8): 21, (9, 6): 1}
    assert report.warnings[0] == "the same image twice in train under two classes (1): cats/0.png = dogs/copy.png"
    assert "train part has no images of class" not in " ".join(report.warnings)  # an empty folder is a defect
    text = "\n".join(report.lines())
    assert "RGB, width x height (images): 8x8 (21), 6x9 (1)" in text
    assert "class       train\nbirds           0\ncats           11\ndogs           11\nall            22\n" in text
    assert "4 defects\n  birds/ has no images; fill it or remove the class\n  cats/a.png is empty (0 bytes)\n" in text


def test_the_same_picture_in_two_splits_is_reported_even_if_saved_anew(photos: Path) -> None:
    (photos / "train").mkdir()
    for name in ("cats", "dogs"):
        (photos / name).rename(photos / "train" / name)
        (photos / "test" / name).mkdir(parents=True)
        with Image.open(photos / "train" / name / "0.png") as image:
            image.save(photos / "test" / name / "other.bmp")
    report = check_images(f"images:{photos}")
    assert report.defects == ()
    assert report.warnings[0] == (
        "the same image in train and in test (2): "
        "train/cats/0.png = test/cats/other.bmp, train/dogs/0.png = test/dogs/other.bmp"
    )


def test_a_group_in_two_parts_that_the_source_brings_is_reported(tmp_path: Path) -> None:
    """Tried: with the groups of each part compared among themselves alone, patients of the test are learned from."""
    noise, source = np.random.default_rng(0), f"images:{tmp_path}"
    for part, patients in {"train": range(8), "test": range(6, 9)}.items():
        for patient in patients:
            for name in ("ill", "well"):
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(noise.integers(0, 256, (8, 8), np.uint8))
                image.save(tmp_path / part / name / f"patient{patient}.png")
    (tmp_path / "test" / "ill" / "patient0.png").touch()  # what cannot be read is in no part
    options = {"validation": 0.25, "group": r"patient(\d+)", "skip_bad": 0.1}
    expected = (
        "the same group (data.group) in train and in test (2): 6, 7; parts that the source brings stay as they are: "
        "move what belongs together into one of them"
    )
    report = load_images(source, **options).report
    assert report is not None
    assert expected in report.warnings
    assert expected in check_images(source, **options).warnings
    told = check_images(source, **options | {"group": "folder"}).warnings
    assert "the same group" not in " ".join(told)


def test_a_sound_source_has_a_clean_report() -> None:
    report = check_images("digits")
    assert (report.channels, report.sizes, report.defects) == (1, {(8, 8): 1797}, ())
    assert sum(report.counts["train"].values()) == 1797


def test_a_check_judges_as_the_search_will(photos: Path) -> None:
    """Uneven sizes are no defect where all are resized, nor few bad files where they may be left out.

    Tried: with the sizes or the bad files judged by the source alone, both are.
    """
    Image.new("RGB", (9, 5)).save(photos / "cats" / "wide.png")
    source = f"images:{photos}"
    assert [defect.file for defect in check_images(source).defects] == ["(all files)"]
    report = check_images(source, image_size=16, validation=0.25)
    assert report.defects == ()
    assert report.notes == ("all images are resized to 16x16",)
    data = load_images(source, image_size=16, validation=0.25)
    assert report.uses == {"train": len(data.train), "validation": len(data.validation), "test": len(data.test or ())}
    assert sum(report.uses.values()) == 21

    (photos / "dogs" / "bad.png").touch()
    assert [defect.file for defect in check_images(source, image_size=16).defects] == ["dogs/bad.png"]
    report = check_images(source, image_size=16, skip_bad=0.05)
    assert report.defects == ()
    assert "left out: dogs/bad.png is empty (0 bytes)" in report.warnings
    (photos / "empty").mkdir()  # which no share of bad files lets pass, in a search neither
    assert [defect.file for defect in check_images(source, image_size=16, skip_bad=0.05).defects] == ["empty/"]
    with pytest.raises(DataError, match="empty"):
        load_images(source, image_size=16, skip_bad=0.05)
    (photos / "empty").rmdir()
    assert check_images(source, image_size=16, validation=500).defects[-1].problem.startswith("expected at least 502")


def test_the_check_says_what_to_do_about_unreadable_images_as_the_search_does(photos: Path) -> None:
    """Tried: it ended with "listed above", and the setting was only named by a search."""
    (photos / "cats" / "broken.png").write_bytes(b"no picture")
    source = f"images:{photos}"
    with pytest.raises(DataError) as refused:
        load_images(source)
    remedy = check_images(source).lines()[-1]
    assert remedy.startswith("Remove or replace them, or leave them out with --set data.skip_bad=0.")
    assert str(refused.value).endswith(remedy)
    enough = float(remedy.rpartition("=")[2])
    assert check_images(source, skip_bad=enough).defects == ()
    assert check_images(source, skip_bad=enough).lines()[-1] != remedy
    (photos / "empty").mkdir()
    assert check_images(source).remedy == "", "there is more to mend than that"


def test_a_part_without_a_readable_image_is_a_defect_whatever_may_be_left_out(photos: Path) -> None:
    """Tried: judged by their share of all images alone, the check passes what a search refuses."""
    source = f"images:{photos}"
    for name in ("cats", "dogs"):
        (photos / "train").mkdir(exist_ok=True)
        (photos / name).rename(photos / "train" / name)
        (photos / "test" / name).mkdir(parents=True)
        (photos / "test" / name / "bad.png").touch()
    report = check_images(source, skip_bad=0.2)
    assert [f"{defect.file} {defect.problem}" for defect in report.defects] == [
        "(test part) has no readable image; replace its files"
    ]
    with pytest.raises(DataError, match="expected readable images in 'test', got none"):
        load_images(source, skip_bad=0.2)
    assert check_images(source).remedy == "Remove or replace them", "leaving them out would leave no part"


def test_no_share_is_recommended_that_settings_refuse(tmp_path: Path) -> None:
    """Tried: of a folder of HEIC alone the check recommends ``data.skip_bad=1``."""
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "phone.heic").write_bytes(b"x")
    assert check_images(f"images:{tmp_path}").lines()[-1] == "Remove or replace them"


def test_the_command_judges_by_the_recipe(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``images:DIR`` by the recipe ``images``, which resizes; ``--recipe`` and ``--set`` by another."""
    Image.new("RGB", (9, 5)).save(photos / "cats" / "wide.png")
    check = ["data", "check", f"images:{photos}"]
    app(check, standalone_mode=False)
    out = capsys.readouterr().out
    assert "all images are resized to 32x32" in out
    assert "0 defects" in out
    assert "for validation" in out
    app([*check, "--set", "data.image_size=8"], standalone_mode=False)
    assert "all images are resized to 8x8" in capsys.readouterr().out
    with pytest.raises(DataError, match="1 defect, listed above"):
        app([*check, "--recipe", "digits"], standalone_mode=False)
