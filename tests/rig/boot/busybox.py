# SPDX-License-Identifier: GPL-2.0-only
"""Puts the static busybox and its applets into an initramfs."""
import os
import subprocess

from initramfs import Initramfs


def add(fs: Initramfs, package: str) -> None:
    """package is the unpacked busybox-static."""
    places = (package + "/bin/busybox", package + "/usr/bin/busybox")
    executable = next(p for p in places if os.path.exists(p))
    fs.copy(executable, "/bin/busybox")
    listing = subprocess.run([executable, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    for applet in listing.stdout.split():
        fs.symlink(f"/bin/{applet}", "busybox")
    fs.character_device("/dev/console", 5, 1)
