# SPDX-License-Identifier: GPL-2.0-only
"""Writes an uncompressed newc cpio archive: the emulated host's root file system.

Needs neither cpio(1) nor root. Does not know what the files are for.
"""
import os
import re
import stat
import subprocess


class Initramfs:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.known: set[str] = set()
        self.inode = 0

    def _add(self, name: str, mode: int, data: bytes, device=(0, 0)) -> None:
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
        self.parts += [header, bytes(-len(header) % 4), data, bytes(-len(data) % 4)]

    def _once(self, name: str) -> bool:
        if name in self.known:
            return False
        self.known.add(name)
        return True

    def directory(self, path: str) -> None:
        name = path.strip("/")
        if name and self._once(name):
            self.directory(os.path.dirname(name))
            self._add(name, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        name = path.strip("/")
        self.directory(os.path.dirname(name))
        if self._once(name):
            self._add(name, stat.S_IFREG | mode, data)

    def symlink(self, path: str, target: str) -> None:
        name = path.strip("/")
        self.directory(os.path.dirname(name))
        if self._once(name):
            self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        self.directory(os.path.dirname(path))
        self._add(path.strip("/"), stat.S_IFCHR | 0o600, b"", (major, minor))

    def copy(self, source: str, path: str) -> None:
        """A file or a whole directory; a dynamic executable brings its libraries."""
        if os.path.isdir(source):
            self.directory(path)
            for entry in sorted(os.listdir(source)):
                self.copy(os.path.join(source, entry), os.path.join(path, entry))
            return
        with open(source, "rb") as f:
            data = f.read()
        self.file(path, data, stat.S_IMODE(os.stat(source).st_mode))
        if is_dynamic(data):
            for library in libraries(source) + loaded_later(data):
                self.copy(library, library)

    def archive(self) -> bytes:
        self._add("TRAILER!!!", 0, b"")
        return b"".join(self.parts)


def is_dynamic(data: bytes) -> bool:
    """An ELF executable or library (not a relocatable object) that names a library."""
    if data[:4] != b"\x7fELF" or data[16:18] not in (b"\x02\0", b"\x03\0"):
        return False
    return b".so." in data


def libraries(path: str) -> list[str]:
    result = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return re.findall(r"(/\S+)(?= \(0x)", result.stdout)


def loaded_later(data: bytes) -> list[str]:
    """Libraries that a program loads itself, as its section .note.dlopen names them."""
    names = [name for names in re.findall(rb'"soname":\[([^\]]*)\]', data) for name in names.split(b",")]
    if not names:
        return []
    cache = subprocess.run(["/sbin/ldconfig", "-p"], stdout=subprocess.PIPE, text=True, check=True).stdout
    known = dict(re.findall(r"^\t(\S+) .*x86-64.* => (\S+)$", cache, re.MULTILINE))
    return [known[name] for name in (name.strip(b'"').decode() for name in names) if name in known]
