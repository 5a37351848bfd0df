"""Files are whole or absent, carry the permissions of the umask, and are read only if ordinary."""

import errno
import os
import stat
import sys

import pytest

from ddpm_np import _files
from ddpm_np._files import open_regular, read_json, remove_temporary, write_atomically, write_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and pipes of POSIX")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "full"), ValueError])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def broken(file):
        file.write(b"new but not")
        raise error

    with pytest.raises(BaseException) as caught:
        write_atomically(path, broken)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert caught.value.filename == str(path) and caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fails(*args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_files.os, call, fails)
    with pytest.raises(OSError) as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path) and path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027])
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


@posix
def test_the_folder_is_synced_after_the_rename(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(_files.os, "fsync", lambda handle: synced.append(os.fstat(handle).st_mode))
    write_text(tmp_path / "file", "x")
    assert [stat.S_ISDIR(mode) for mode in synced] == [False, True]


def test_long_names_and_names_in_any_language_can_be_written(tmp_path):
    for name in ("a" * 255, "如何手搓扩散模型"):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text(encoding="utf-8") == name


def test_text_that_utf_8_lacks_is_escaped(tmp_path):
    write_text(tmp_path / "file", "如 \udcff")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "如 \\udcff"


def test_remains_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    for name in (".ddpm_np-0123456789abcdef.tmp", ".other.tmp", "file"):
        (tmp_path / name).write_text("x")
    remove_temporary(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".other.tmp", "file"}


def test_a_killed_write_leaves_what_the_next_start_removes(tmp_path):
    def killed(file):
        left.extend(tmp_path.iterdir())

    left = []
    write_atomically(tmp_path / "file", killed)
    left[0].write_text("half")
    remove_temporary(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, "é".encode("latin-1")]
)
def test_what_is_not_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="file must be a JSON file"):
        read_json(tmp_path / "file")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b" " * 11)
    with pytest.raises(ValueError, match="file must have at most 10 bytes, got 11"):
        read_json(tmp_path / "file", limit=10)


@posix
def test_only_ordinary_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "link")
    for name in ("pipe", "link", "."):
        with pytest.raises(ValueError, match="must be an ordinary file"):
            open_regular(tmp_path / name, limit=10)
