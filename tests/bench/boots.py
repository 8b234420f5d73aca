# SPDX-License-Identifier: GPL-2.0-only
"""Boots the same stock kernel on bare emulated hardware and as a guest of vhmrun, and what was counted.

From the kernel's entry to the first instruction of /init, marked there and counted by the emulator; the
same kernel, initramfs, command line and memory. Knows nothing of bars.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
RIG = os.path.join(os.path.dirname(HERE), "rig")
sys.path.insert(0, os.path.join(RIG, "boot"))

import disk  # noqa: E402
import emulator  # noqa: E402
from initramfs import Initramfs  # noqa: E402

MEMORY_MIB = 256
BARE_SECONDS, GUEST_SECONDS = 200, 400
MODEL = "corei7_skylake_x"
# rodata=off and cryptomgr.notests=1: without them half of the time is spent on checks of the kernel by
# itself. No power management of devices that only the emulated machine has.
OPTIONS = "rodata=off mitigations=off clearcpuid=erms"


class BootError(Exception):
    """A boot that did not reach its end; the text says which."""


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip().splitlines()[-1]


def write_initramfs(path: str, init: str) -> None:
    fs = Initramfs()
    fs.copy(init, "/init")
    fs.character_device("/dev/console", 5, 1)
    with open(path, "wb") as f:
        f.write(fs.archive())


def command_line(bochs: str, ips: int) -> str:
    return " ".join([emulator.kernel_options(bochs, MODEL, 1, ips * 1_000_000), OPTIONS])


def write_disk(directory: str, kernel_dir: str, initramfs: str, line: str) -> int:
    with open(os.path.join(kernel_dir, "vmlinux"), "rb") as f:
        kernel = disk.flatten(f.read())
    with open(os.path.join(kernel_dir, "vmlinuz"), "rb") as f:
        setup = f.read(4096)
    with open(initramfs, "rb") as f:
        archive = f.read()
    stub = disk.assemble_stub(os.path.join(RIG, "boot", "stub.S"), directory)
    return disk.write(os.path.join(directory, "disk"), stub, setup, kernel, archive, line)


def bare(kernel: str, initramfs: str, ips: int) -> str:
    """The CSV that /init prints on the console of bare emulated hardware."""
    bochs = output(os.path.join(RIG, "build-bochs"), "count")
    kernel_dir = output(os.path.join(RIG, "kernel-dir"), kernel)
    with tempfile.TemporaryDirectory(prefix="vhm-bench-") as directory:
        process = emulator.start(
            bochs,
            directory,
            model=MODEL,
            cpus=1,
            memory=MEMORY_MIB,
            bios=output(os.path.join(RIG, "fetch-package"), "bochsbios") + "/usr/share/bochs/BIOS-bochs-latest",
            vga=output(os.path.join(RIG, "fetch-package"), "vgabios") + "/usr/share/vgabios/vgabios.bin",
            cylinders=write_disk(directory, kernel_dir, initramfs, command_line(bochs, ips)),
            com2=os.path.join(directory, "com2"),
            terminal=False,
            ips_per_cpu=ips * 1_000_000,
        )
        console = os.path.join(directory, "kernel.log")
        try:
            deadline = time.monotonic() + BARE_SECONDS
            text = ""
            while "init: done" not in text and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                if os.path.exists(console):
                    with open(console, encoding="ascii", errors="replace") as f:
                        text = f.read()
        finally:
            emulator.stop(process)
    if "init: done" not in text:
        raise BootError("the bare boot did not reach /init:\n" + "\n".join(text.splitlines()[-15:]))
    return rows(text, "bare", ips)


def rows(text: str, backend: str, ips: int) -> str:
    """The lines of CSV in a console's text, each row named after the clock."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line.split(",", 1) for line in lines if line.count(",") == 8 and line.split(",")[1] == backend]
    return "".join(f"{name}-{ips},{rest}\n" for name, rest in found)


def guest(kernel: str, initramfs: str, ips: int, programs: str, vhmrun: str) -> str:
    """What the emulator counted of exec and boot, and of an exec with a kernel that is one instruction."""
    bochs = output(os.path.join(RIG, "build-bochs"), "count")
    kernel_dir = output(os.path.join(RIG, "kernel-dir"), kernel)
    with tempfile.TemporaryDirectory(prefix="vhm-bench-") as directory:
        line = os.path.join(directory, "command-line")
        with open(line, "w", encoding="ascii") as f:
            f.write(command_line(bochs, ips))
        shutil.copy(os.path.join(kernel_dir, "vmlinux"), directory)
        shutil.copy(initramfs, os.path.join(directory, "initramfs"))
        for file in ("bench", "tiny-kernel"):
            shutil.copy(os.path.join(programs, file), directory)
        shutil.copy(os.path.join(HERE, "in-host-boot"), directory)
        shutil.copy("/sbin/ldconfig", directory)
        command = [
            os.path.join(RIG, "host"),
            *("--count", "--vhm", "--kernel", kernel, "--ips", str(ips), "--timeout", str(GUEST_SECONDS)),
            *("--append", "clearcpuid=erms mitigations=off", "--file", vhmrun, "--file", f"{directory}:."),
            *("--", "sh", "in-host-boot", str(MEMORY_MIB)),
        ]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        raise BootError(f"the guest's boot gave status {result.returncode}")
    return rows(result.stdout, "vhm", ips)
