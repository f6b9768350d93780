"""Reading sources of images: digits, CIFAR-10, folders, the Hub, and the cache of decoded images."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from netwright.data import ImageData, check_images, hub, image_cache, load_images, survey
from netwright.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_images(folder: Path, number: int, shade: int = 0, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    """Writes ``number`` images, each of its own pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        Image.new(mode, size, (shade + index,) * len(mode)).save(folder / f"{index:03}.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of ten grey images, 4 pixels high and 6 wide."""
    write_images(tmp_path / "photos" / "cats", 10)
    write_images(tmp_path / "photos" / "dogs", 10, shade=100)
    return tmp_path / "photos"


def everything(data: ImageData) -> torch.Tensor:
    assert data.test is not None
    return torch.cat([data.train.images, data.validation.images, data.test.images])


def test_digits_are_real_and_divided_in_proportion() -> None:
    data = load_images("digits")
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (1294, 144, 359)
    assert (data.channels, data.height, data.width, data.num_classes) == (1, 8, 8, 10)
    assert (data.train.images.dtype, data.train.labels.dtype) == (torch.uint8, torch.int64)
    assert everything(data).max() == 255
    for split in (data.train, data.validation, data.test):
        counts = split.labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= 0.06 * len(split)


def test_the_test_part_is_the_same_for_every_seed_and_the_validation_part_is_not() -> None:
    one, two, again = load_images("digits", seed=1), load_images("digits", seed=2), load_images("digits", seed=1)
    assert one.test is not None
    assert two.test is not None
    assert torch.equal(one.test.images, two.test.images)
    assert not torch.equal(one.validation.images, two.validation.images)
    assert torch.equal(one.train.images, again.train.images)


def test_limits_take_part_of_a_split_in_proportion_and_leave_the_others_alone() -> None:
    whole, part = load_images("digits"), load_images("digits", train_limit=50, validation_limit=20)
    assert part.train.labels.bincount().tolist() == [5] * 10
    assert part.validation.labels.bincount().tolist() == [2] * 10
    assert whole.test is not None
    assert part.test is not None
    assert torch.equal(whole.test.images, part.test.images)
    rows = {image.numpy().tobytes() for image in whole.train.images}
    assert all(image.numpy().tobytes() in rows for image in part.train.images)


def test_images_can_be_resized_to_a_square() -> None:
    data = load_images("digits", image_size=12)
    assert (data.height, data.width) == (12, 12)


@pytest.mark.parametrize(
    "wrong", [{"skip_bad": 1.0}, {"skip_bad": -0.1}, {"image_size": 0}, {"train_limit": 0}, {"validation": 0}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        load_images("digits", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "hint"),
    [("cifr10", "did you mean 'cifar10'?"), ("image:x", "did you mean 'images:DIR'?"), ("ptb", "got 'ptb'$")],
)
def test_an_unknown_source_is_answered_with_the_known_ones(source: str, hint: str) -> None:
    with pytest.raises(
        DataError, match=r"digits, cifar10, cifar10:DIR, images:DIR, hf:NAME.*" + hint.replace("?", r"\?")
    ):
        load_images(source)


def test_a_bare_folder_is_answered_with_the_right_spelling(photos: Path) -> None:
    with pytest.raises(DataError, match=f"did you mean 'images:{photos}'"):
        load_images(str(photos))


def test_a_folder_per_class_is_divided_into_three(photos: Path) -> None:
    data = load_images(f"images:{photos}", validation=4)
    assert data.classes == ("cats", "dogs")
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert data.validation.labels.bincount().tolist() == [2, 2]
    assert (data.height, data.width) == (4, 6)
    assert sorted(everything(data)[:, 0, 0, 0].tolist()) == [*range(10), *range(100, 110)]
    assert torch.equal(data.train.images[:, 0, 0, 0] >= 100, data.train.labels == 1)


def test_splits_above_the_classes_are_used_as_they_are(tmp_path: Path) -> None:
    for split, number in (("train", 8), ("val", 3), ("Test", 2)):
        for shade, name in ((0, "a"), (100, "b")):
            write_images(tmp_path / split / name, number, shade + 10 * number)
    data = load_images(f"images:{tmp_path}")
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 6, 4)
    assert set(data.test.images[:, 0, 0, 0].tolist()) == {20, 21, 120, 121}


def test_a_test_level_without_validation_leaves_the_test_alone(tmp_path: Path) -> None:
    for split, shade in (("train", 0), ("test", 50)):
        for name in ("a", "b"):
            write_images(tmp_path / split / name, 5, shade + 10 * (name == "b"))
    data = load_images(f"images:{tmp_path}", validation=2)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 10)
    assert data.validation.images.max() < 50


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 5)
    write_images(tmp_path / "plane", 5, 50)
    assert load_images(f"images:{tmp_path}").classes == ("plane", "train")


def test_images_are_shared_with_workers_instead_of_copied() -> None:
    data = load_images("digits").share_memory()
    assert data.train.images.is_shared()
    assert data.validation.labels.is_shared()


def test_too_little_shared_memory_is_said_before_a_worker_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_images("digits")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"expected 0 MiB of shared memory .*--shm-size"):
        data.share_memory()
    assert not data.train.images.is_shared()


def test_image_data_can_be_sent_to_a_worker() -> None:
    data = load_images("digits", train_limit=20)
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy.train.images, data.train.images)
    assert copy.classes == data.classes


def test_only_torch_is_imported_before_it_is_needed() -> None:
    code = "import sys, netwright.data; print([m for m in ('datasets', 'sklearn', 'pyarrow') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


class TestCache:
    @pytest.fixture
    def decodings(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """One entry for each time that a source was really decoded."""
        done: list[str] = []
        real = survey.decode_listing

        def counted(name, listing, image_size):  # type: ignore[no-untyped-def]
            done.append(name)
            return real(name, listing, image_size)

        monkeypatch.setattr(image_cache, "decode_listing", counted)
        return done

    def test_a_source_is_decoded_once(self, photos: Path, decodings: list[str]) -> None:
        first, second = load_images(f"images:{photos}"), load_images(f"images:{photos}")
        assert len(decodings) == 1
        assert torch.equal(everything(first), everything(second))
        assert torch.equal(first.train.labels, second.train.labels)

    def test_a_changed_file_is_seen_and_replaces_what_was_kept(
        self, photos: Path, cache: Path, decodings: list[str]
    ) -> None:
        load_images(f"images:{photos}")
        Image.new("L", (6, 4), 77).save(photos / "cats" / "new.png")
        assert 77 in everything(load_images(f"images:{photos}"))
        assert len(decodings) == 2
        assert len(list(cache.iterdir())) == 1

    def test_each_size_is_kept(self, photos: Path, decodings: list[str]) -> None:
        for _ in range(2):
            assert load_images(f"images:{photos}", image_size=5).height == 5
            assert load_images(f"images:{photos}").height == 4
        assert len(decodings) == 2

    def test_another_version_of_the_decoder_decodes_again(
        self, photos: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_images(f"images:{photos}")
        monkeypatch.setattr(image_cache, "DECODER_VERSION", 999)
        load_images(f"images:{photos}")
        assert len(decodings) == 2

    @pytest.mark.parametrize("damage", ["flipped bit", "cut", "empty", "text"])
    def test_a_damaged_file_is_decoded_again_and_mended(
        self, photos: Path, cache: Path, decodings: list[str], damage: str
    ) -> None:
        expected = load_images(f"images:{photos}")
        (kept,) = cache.iterdir()
        good = kept.read_bytes()
        bad = {
            "flipped bit": good[:-1] + bytes([good[-1] ^ 1]),
            "cut": good[: len(good) // 2],
            "empty": b"",
            "text": b"not a tensor\n" * 100,
        }
        kept.write_bytes(bad[damage])
        for _ in range(2):
            assert torch.equal(everything(load_images(f"images:{photos}")), everything(expected))
        assert len(decodings) == 2

    @pytest.mark.parametrize("place", ["/proc/netwright", "/dev/null/netwright"])
    def test_an_unwritable_cache_only_costs_time(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
    ) -> None:
        monkeypatch.setenv("NETWRIGHT_CACHE", place)
        assert len(load_images(f"images:{photos}").train) == 14
        assert "cannot keep the decoded images" in caplog.text

    def test_without_a_home_nothing_is_cached(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("NETWRIGHT_CACHE")
        monkeypatch.setattr(Path, "home", homeless)
        assert len(load_images(f"images:{photos}").train) == 14

    def test_bad_images_are_remembered(self, photos: Path, decodings: list[str]) -> None:
        (photos / "cats" / "bad.png").touch()
        for _ in range(2):
            with pytest.raises(DataError, match=r"bad\.png is empty"):
                load_images(f"images:{photos}")
        assert len(decodings) == 1

    @pytest.mark.parametrize("fault", [errno.EACCES, errno.EIO, errno.EMFILE])
    def test_what_the_system_could_not_read_is_tried_again(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch, fault: int
    ) -> None:
        """Tried: kept like damaged files, it stays unreadable until it is changed, and is left out for good."""
        locked, source = photos / "cats" / "000.png", f"images:{photos}"
        unlocked = Image.open

        def opened(file, *arguments, **options):  # type: ignore[no-untyped-def]
            if file == locked:
                raise OSError(fault, os.strerror(fault), str(file))
            return unlocked(file, *arguments, **options)

        monkeypatch.setattr(Image, "open", opened)
        with pytest.raises(DataError, match=rf"cats/000\.png cannot be read: {os.strerror(fault)}"):
            load_images(source)
        assert 0 not in everything(load_images(source, skip_bad=0.1))
        monkeypatch.setattr(Image, "open", unlocked)
        assert 0 in everything(load_images(source))

    def test_too_little_memory_is_no_fault_of_a_picture(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def opened(*arguments, **options):  # type: ignore[no-untyped-def]
            raise MemoryError

        monkeypatch.setattr(Image, "open", opened)
        with pytest.raises(MemoryError):
            load_images(f"images:{photos}")

    def test_digits_are_not_cached(self, cache: Path) -> None:
        load_images("digits")
        assert not cache.exists()


class TestCifar10Batches:
    """The original files, which are pickles, rebuilt with four images each."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        batches = tmp_path / "cifar-10-batches-py"
        batches.mkdir()
        for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
            pixels = np.arange(4 * 3072).reshape(4, 3072).astype(np.uint8) + np.uint8(number)
            pixels += 8 * np.arange(4, dtype=np.uint8)[:, None]  # no two alike
            labels = [0, 1] * 2
            batch = {b"data": pixels, b"labels": labels, b"filenames": [b"x.png"] * 4, b"batch_label": name.encode()}
            (batches / name).write_bytes(pickle.dumps(batch, protocol=3))
        return tmp_path

    def test_they_are_read(self, folder: Path) -> None:
        data = load_images(f"cifar10:{folder}", validation=2)
        assert data.test is not None
        assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 4)
        assert data.classes[0] == "airplane"
        first = np.arange(3072).reshape(3, 32, 32).astype(np.uint8) + np.uint8(5)
        assert data.test.images[0].numpy().tolist() == first.tolist()
        assert data.test.labels.tolist() == [0, 1, 0, 1]

    @pytest.mark.parametrize("inside", [True, False])
    def test_they_are_found_in_the_data_folder(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
    ) -> None:
        if inside:
            (folder / "cifar10").mkdir()
            (folder / "cifar-10-batches-py").rename(folder / "cifar10" / "cifar-10-batches-py")
        monkeypatch.setenv("NETWRIGHT_DATA", str(folder))
        assert len(load_images("cifar10", validation=2).train) == 18

    def test_a_foreign_pickle_calls_nothing(self, folder: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[object, ...]:
                return os.mkdir, (str(folder / "owned"),)

        (folder / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps({b"data": Attack()}))
        with pytest.raises(DataError, match=r"data_batch_3.*asks for \w+\.mkdir.*do not trust"):
            load_images(f"cifar10:{folder}")
        assert not (folder / "owned").exists()

    def test_a_cut_file_is_named(self, folder: Path) -> None:
        file = folder / "cifar-10-batches-py" / "data_batch_2"
        file.write_bytes(file.read_bytes()[:5000])
        with pytest.raises(DataError, match="data_batch_2: expected a batch of CIFAR-10; unpack it again"):
            load_images(f"cifar10:{folder}")

    def test_a_missing_file_is_named(self, folder: Path) -> None:
        (folder / "cifar-10-batches-py" / "test_batch").unlink()
        with pytest.raises(DataError, match="test_batch missing"):
            load_images(f"cifar10:{folder}")


def test_a_folder_without_cifar10_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hf download uoft-cs/cifar10"):
        load_images(f"cifar10:{tmp_path}")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    for name in ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"):
        (tmp_path / name).write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet: damaged after row 0, download it again"):
        load_images(f"cifar10:{tmp_path}")


@pytest.mark.data
def test_cifar10_is_read_and_divided_as_in_the_paper() -> None:
    if not os.environ.get("NETWRIGHT_DATA"):
        pytest.skip("NETWRIGHT_DATA names no folder with cifar10")
    data = load_images("cifar10", validation=5000)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (45_000, 5_000, 10_000)
    assert data.train.labels.bincount().tolist() == [4500] * 10
    assert data.validation.labels.bincount().tolist() == [500] * 10
    assert (data.channels, data.height, data.width) == (3, 32, 32)
    # The published mean of the training images, which JPEG hardly moves.
    mean = data.train.images.float().mean((0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.004)

    started = time.monotonic()
    again = load_images("cifar10", validation=5000)
    assert time.monotonic() - started < 5
    assert torch.equal(again.validation.images, data.validation.images)


class TestHub:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")

    def write_parquet(self, file: Path, labels: list[int], names: list[str] | None) -> None:
        import datasets

        kind = datasets.ClassLabel(names=names) if names else datasets.Value("int64")
        images = [Image.new("RGB", (4, 4), (row, 0, 0)) for row in range(len(labels))]
        table = datasets.Dataset.from_dict(
            {"id": [f"{row}" for row in labels], "picture": images, "kind": labels},
            features=datasets.Features({"id": datasets.Value("string"), "picture": datasets.Image(), "kind": kind}),
        )
        file.parent.mkdir(exist_ok=True)
        table.to_parquet(file)

    def test_columns_are_found_by_their_kind(self, tmp_path: Path) -> None:
        self.write_parquet(tmp_path / "set" / "train.parquet", [0, 1] * 10, ["ant", "bee"])
        self.write_parquet(tmp_path / "set" / "test.parquet", [0, 1] * 3, ["ant", "bee"])
        data = load_images(f"hf:{tmp_path / 'set'}", validation=4)
        assert data.test is not None
        assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 6)
        assert data.classes == ("ant", "bee")
        assert torch.equal(data.train.images[:, 0, 0, 0].long() % 2, data.train.labels)

    def test_classes_may_be_any_integers_and_unused_names_are_left_out(self, tmp_path: Path) -> None:
        self.write_parquet(tmp_path / "a" / "train.parquet", [3, 7] * 5, None)
        assert load_images(f"hf:{tmp_path / 'a'}").classes == ("3", "7")
        self.write_parquet(tmp_path / "b" / "train.parquet", [0, 2] * 5, ["ant", "bee", "cow"])
        assert load_images(f"hf:{tmp_path / 'b'}").classes == ("ant", "cow")

    def write_columns(self, folder: Path, columns: dict[str, list[object]]) -> str:
        """Pictures with columns that ``datasets`` knows no more of than their types, as of a ``metadata.csv``."""
        import datasets

        images = [Image.new("RGB", (4, 4), (row, 0, 0)) for row in range(20)]
        table = datasets.Dataset.from_dict({"image": images, **columns})
        folder.mkdir()
        table.cast_column("image", datasets.Image()).to_parquet(folder / "train.parquet")
        return f"hf:{folder}"

    def test_labels_are_found_by_their_name(self, tmp_path: Path) -> None:
        """Tried: by the first column of integers alone, these are networks that tell widths apart."""
        columns = {"width": [640, 800] * 10, "caption": ["a", "b"] * 10, "label": [0, 0, 1, 1] * 5}
        data = load_images(self.write_columns(tmp_path / "numbers", columns))
        assert data.classes == ("0", "1")
        assert data.report is not None
        assert "images from column 'image', labels from column 'label'" in data.report.notes
        texts = {"width": [640, 800] * 10, "Class": ["wasp", "wasp", "bee", "ant"] * 5}
        data = load_images(self.write_columns(tmp_path / "texts", texts))
        assert data.classes == ("ant", "bee", "wasp")
        assert data.report is not None
        assert data.report.counts == {"train": {"ant": 5, "bee": 5, "wasp": 10}}

    @pytest.mark.parametrize(
        ("columns", "found"),
        [
            ({"width": [640, 800] * 10, "height": [4, 5] * 10}, "several columns of integers, width, height,"),
            ({"caption": ["a", "b"] * 10}, r"the columns image \(Image\), caption \(Value\)"),
        ],
    )
    def test_labels_that_could_be_several_columns_are_refused(
        self, tmp_path: Path, columns: dict[str, list[object]], found: str
    ) -> None:
        source = self.write_columns(tmp_path / "set", columns)
        with pytest.raises(DataError, match=rf"got {found} and none is called label or .* to 'label'"):
            load_images(source)

    def test_a_test_split_without_labels_is_left_out(self, tmp_path: Path) -> None:
        self.write_parquet(tmp_path / "set" / "train.parquet", [0, 1] * 10, ["ant", "bee"])
        self.write_parquet(tmp_path / "set" / "test.parquet", [-1] * 5, ["ant", "bee"])
        report = check_images(f"hf:{tmp_path / 'set'}")
        assert "split 'test' has no labels and is left out" in report.warnings
        assert list(report.counts) == ["train"]

    def test_an_image_folder_is_read_and_a_bad_file_named(self, photos: Path) -> None:
        assert load_images(f"hf:{photos}").classes == ("cats", "dogs")
        (photos / "cats" / "000.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"1 of 20 images.*\n.*cats/000\.png is no image"):
            load_images(f"hf:{photos}")

    def test_a_set_without_images_says_what_it_has(self, tmp_path: Path) -> None:
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "train.csv").write_text("text,label\nhello,1\n")
        with pytest.raises(DataError, match=r"expected a column of images.*text \(Value\), label \(Value\)"):
            load_images(f"hf:{tmp_path / 'set'}")

    def test_a_missing_path_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be loaded: Couldn't find"):
            load_images(f"hf:{tmp_path / 'nothing'}")

    @pytest.mark.parametrize("source", ["hf:nobody/nothing", "cifar10"])
    def test_without_a_network_the_answer_comes_at_once(self, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
        monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
        monkeypatch.setattr(hub, "_hub_answers", lambda name: False)
        started = time.monotonic()
        with pytest.raises(DataError, match="Hub cannot be reached, and no earlier download"):
            load_images(source)
        assert time.monotonic() - started < 5

    def test_a_hub_that_answers_is_told_from_one_that_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub

        class Unknown(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *args: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Unknown) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
            answered = hub._hub_answers("nobody/nothing")
            server.shutdown()
        assert answered
        assert not hub._hub_answers("nobody/nothing")
