# SPDX-License-Identifier: GPL-2.0-only
"""Boot disk of the emulated host: boot block, flattened kernel, initramfs.

Owns the layout shared with stub.S. Knows nothing of the emulator or of what the host
does once it runs.
"""
import os
import struct
import subprocess

SECTOR = 512
CYLINDER = 16 * 63 * SECTOR  # the emulator wants whole cylinders
BOOT_BLOCK = 16 * SECTOR
ENTRY_OFFSET = 0x39C
PAYLOADS_OFFSET = 0x3A0
BOOT_PARAMS_OFFSET = 0x400
COMMAND_LINE_OFFSET = 0x1400
COMMAND_LINE_MAX = 0x800
COMMAND_LINE_ADDRESS = 0x9000
INITRAMFS_ADDRESS = 0x8000000
PT_LOAD = 1


class BootError(Exception):
    """An image that cannot be booted; the text says why."""


def flatten(elf: bytes) -> tuple[bytes, int, int]:
    """The loadable segments at their physical addresses: (bytes, address, entry point).

    Zeros at the end are dropped: the kernel clears its .bss itself.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise BootError("the kernel is no 64-bit ELF image")
    entry, table = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    segments = []
    for i in range(count):
        kind, _, offset, _, address, file_bytes, memory_bytes, _ = struct.unpack_from(
            "<IIQQQQQQ", elf, table + size * i
        )
        if kind == PT_LOAD:
            segments.append((address, offset, file_bytes, memory_bytes))
    if not segments:
        raise BootError("the kernel has nothing to load")
    start = min(s[0] for s in segments)
    end = max(s[0] + s[3] for s in segments)
    if end > INITRAMFS_ADDRESS:
        raise BootError(f"the kernel ends at {end:#x}, where the initramfs begins")
    image = bytearray(max(s[0] + s[2] for s in segments) - start)
    for address, offset, file_bytes, _ in segments:
        image[address - start : address - start + file_bytes] = elf[offset : offset + file_bytes]
    return bytes(image.rstrip(b"\0")), start, entry


def boot_params(setup: bytes, initramfs_bytes: int) -> bytes:
    """struct boot_params from the setup header of the bzImage the kernel came from."""
    if setup[0x202:0x206] != b"HdrS":
        raise BootError("the bzImage has no setup header")
    params = bytearray(4096)
    end = 0x202 + setup[0x201]
    params[0x1F1:end] = setup[0x1F1:end]
    params[0x210] = 0xFF  # type_of_loader: none that has a number
    params[0x211] |= 1  # loadflags: LOADED_HIGH
    struct.pack_into("<II", params, 0x218, INITRAMFS_ADDRESS, initramfs_bytes)
    struct.pack_into("<I", params, 0x228, COMMAND_LINE_ADDRESS)
    return bytes(params)


def assemble_stub(source: str, directory: str) -> bytes:
    base = os.path.join(directory, "stub")
    subprocess.run(["as", source, "-o", base + ".o"], check=True)
    subprocess.run(
        ["ld", "-Ttext=0x7c00", "--oformat=binary", "-e", "_start", base + ".o", "-o", base], check=True
    )
    with open(base, "rb") as f:
        code = f.read()
    if len(code) != ENTRY_OFFSET:
        raise BootError(f"the boot block's code is {len(code)} bytes, not {ENTRY_OFFSET}")
    return code


def sectors(size: int) -> int:
    return (size + SECTOR - 1) // SECTOR


def write(path, stub, setup, kernel, initramfs, command_line) -> int:
    """Writes the disk; kernel is what flatten() gave. Returns its cylinders."""
    image, address, entry = kernel
    line = command_line.encode() + b"\0"
    if len(line) > COMMAND_LINE_MAX:
        raise BootError("the kernel's command line is too long")
    block = bytearray(BOOT_BLOCK)
    block[: len(stub)] = stub
    struct.pack_into("<I", block, ENTRY_OFFSET, entry)
    first = sectors(BOOT_BLOCK)
    struct.pack_into("<III", block, PAYLOADS_OFFSET, first, sectors(len(image)), address)
    second = first + sectors(len(image))
    struct.pack_into("<III", block, PAYLOADS_OFFSET + 12, second, sectors(len(initramfs)), INITRAMFS_ADDRESS)
    block[BOOT_PARAMS_OFFSET : BOOT_PARAMS_OFFSET + 4096] = boot_params(setup, len(initramfs))
    block[COMMAND_LINE_OFFSET : COMMAND_LINE_OFFSET + len(line)] = line
    with open(path, "wb") as disk:
        disk.write(block)
        disk.write(image)
        disk.seek(second * SECTOR)
        disk.write(initramfs)
        cylinders = (disk.tell() + CYLINDER - 1) // CYLINDER
        disk.truncate(cylinders * CYLINDER)
    return cylinders
