"""A disk that forgets: what a program wrote, recorded by strace, and what a loss of power may leave of it.

A name lasts once its folder was flushed, content once the file was; before, each may be lost, and a write may be torn.
That is less than most file systems promise, and all that POSIX does.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CALLS = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,mkdir,unlink,rmdir"
ARGUMENT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|(-?\w+)<((?:\\x[0-9a-f]{2})*)>|([\w|]+)')


@dataclass(frozen=True)
class Call:
    """A system call: its name, its arguments as texts, bytes and (descriptor, path), and what it returned."""

    name: str
    arguments: tuple
    result: str

    @property
    def path(self):
        """The file that it is about."""
        return next(Path(a[1] if isinstance(a, tuple) else a.decode()) for a in self.arguments if not is_cwd(a))

    @property
    def new_path(self):
        """As :attr:`path`, and of a renaming the new one."""
        texts = [a for a in self.arguments if isinstance(a, bytes)]
        return Path(texts[1].decode()) if self.name.startswith("rename") else self.path


def is_cwd(argument):
    return isinstance(argument, str) or (isinstance(argument, tuple) and argument[0] == "AT_FDCWD")


def record(command, log):
    """Runs a program, and returns its calls about files that succeeded, in order; skips where strace may not trace."""
    # Not -f: SQLite and our files are written by the one thread. -y names the file behind each descriptor.
    strace = ["strace", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", log]
    done = subprocess.run([*strace, *command], capture_output=True, text=True, check=False, timeout=100)
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    return [call for line in Path(log).read_text().splitlines() if (call := parsed(line))]


def parsed(line):
    match = re.match(r"(\w+)\((.*)\)\s+= (\d\S*)", line)
    return match and Call(match[1], tuple(map(argument, ARGUMENT.finditer(match[2]))), match[3])


def argument(match):
    text, descriptor, path, other = match.groups()
    if text is not None:
        return unhexed(text)
    return other if descriptor is None else (descriptor, unhexed(path).decode())


def unhexed(text):
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class Content:
    """Of a file: what lasts, and the changes since it was flushed: data at an offset, or a length to cut it to."""

    lasting: bytearray = field(default_factory=bytearray)
    changes: list = field(default_factory=list)

    def after(self, changes):
        content = bytearray(self.lasting)
        for change in changes:
            apply(content, change)
        return content

    def flush(self):
        self.lasting, self.changes = self.after(self.changes), []


def apply(content, change):
    offset, data = change
    content.extend(bytes(max(offset - len(content), 0)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


FOLDER = object()


class Disk:
    """Everything below ``root`` as the kernel has it, and as it would be found after a loss of power."""

    def __init__(self, root):
        self._root = root
        self._names, self._lasting = {}, {}
        self._changes = []  # (folder, {path: content, FOLDER, or None where the name goes})
        self._offsets = {}

    def do(self, call):
        """What a call does to the disk."""
        if call.path != self._root and self._root not in call.path.parents:
            return
        match call.name:
            case "openat":
                self._open(call)
            case "write":
                descriptor, data = call.arguments[0][0], call.arguments[1][: int(call.result)]
                offset = self._offsets[descriptor]
                self._offsets[descriptor] += len(data)
                self._names[call.path].changes.append((offset, data))
            case "pwrite64":
                self._names[call.path].changes.append((int(call.arguments[3]), call.arguments[1]))
            case "ftruncate":
                self._names[call.path].changes.append((int(call.arguments[1], 0), None))
            case "fsync" | "fdatasync":
                self._flush(call.path)
            case "rename" | "renameat" | "renameat2":
                self._rename({call.path: None, call.new_path: self._names[call.path]})
            case "mkdir":
                self._rename({call.path: FOLDER})
            case "unlink" | "rmdir":
                self._rename({call.path: None})

    def _open(self, call):
        flags, path = call.arguments[2], call.path
        if "O_CREAT" in flags and self._names.get(path) is None:
            self._rename({path: Content()})
        if "O_TRUNC" in flags:
            self._names[path].changes.append((0, None))
        descriptor = call.result.partition("<")[0]
        self._offsets[descriptor] = 0
        if "O_APPEND" in flags:
            self._offsets[descriptor] = len(self._names[path].after(self._names[path].changes))

    def _rename(self, names):
        self._changes.append((next(iter(names)).parent, names))
        self._names |= names

    def _flush(self, path):
        if isinstance(file := self._names.get(path), Content):
            file.flush()
            return
        for folder, names in self._changes:
            if folder == path:
                self._lasting |= names
        self._changes = [(folder, names) for folder, names in self._changes if folder != path]

    def find_after_power_loss(self, target, keep, chance):
        """Writes to ``target`` what is found.

        Args:
            target: A folder to make.
            keep: Of what was not flushed, "nothing", "everything", or "some": of the names the first few, of the
                content any part, with writes torn.
            chance: Decides.
        """
        names = dict(self._lasting)
        cut = round(len(self._changes) * {"nothing": 0.0, "everything": 1.0}.get(keep, chance.random()))
        for _, change in self._changes[:cut]:
            names |= change
        target.mkdir(parents=True)
        for path in sorted(path for path, what in names.items() if what is FOLDER):
            if self._place(path, target).parent.is_dir():
                self._place(path, target).mkdir()
        for path, what in names.items():
            if isinstance(what, Content) and self._place(path, target).parent.is_dir():
                changes = what.changes if keep == "everything" else []
                if keep == "some":
                    changes = [torn(change, chance) for change in what.changes if chance.random() < 0.5]
                self._place(path, target).write_bytes(what.after(changes))

    def _place(self, path, target):
        return target / path.relative_to(self._root)


def torn(change, chance):
    offset, data = change
    return change if data is None or chance.random() < 0.5 else (offset, data[: chance.randrange(len(data) + 1)])
