"""Files that are whole or not there."""

import errno
import os

import pytest

from netwright.errors import StorageError
from netwright.store.files import write_atomically


def test_text_and_bytes_are_written_and_replaced(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "one")
    assert path.read_text() == "one"
    write_atomically(path, b"\x00two")
    assert path.read_bytes() == b"\x00two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES])
def test_a_write_that_fails_leaves_the_old_file_and_says_why(tmp_path, monkeypatch, call, code):
    """Tried: with the content written straight to its place, the old file is gone."""
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*arguments, **keywords):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError) as error:
        write_atomically(path, "new content")
    monkeypatch.undo()
    assert error.value.exit_code == 4
    assert str(path) in str(error.value)
    assert ("11 bytes" in str(error.value)) == (code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_disk_before_its_name_and_the_name_before_it_returns(tmp_path, monkeypatch):
    """After a loss of power, a file must not exist without its content: fsync, rename, fsync of the folder."""
    calls = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(os.path.realpath(f"/proc/self/fd/{fd}")), real_fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("rename"), real_replace(*names)))
    write_atomically(tmp_path / "file", "content")
    assert calls[0].endswith(".tmp")
    assert calls[1:] == ["rename", str(tmp_path.resolve())]
