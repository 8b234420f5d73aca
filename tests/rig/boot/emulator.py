# SPDX-License-Identifier: GPL-2.0-only
"""Runs the emulator: its configuration, its process, its end.

Owns the emulator's process and dies with it. Knows nothing of what is booted.
"""
import ctypes
import os
import signal
import subprocess

# Instructions a second of emulated time: low, as the BIOS counts in time. The emulator lets its
# CPUs share them, so each CPU adds its own: with less, a guest with a 250 Hz tick gets nowhere.
IPS_PER_CPU = 20_000_000
PR_SET_PDEATHSIG = 1
RULE = "VMX rule broken:"
STACK = "VMX rule, on the stack:"
MSRS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "msrs")

# Options of the host's kernel without which the model does not boot, and why.
MODEL_OPTIONS = {
    # Fast short REP MOV without enhanced REP MOV: a pair that 6.1's memmove does not expect.
    "corei7_icelake_u": "clearcpuid=fsrm",
    "arrow_lake": "clearcpuid=fsrm",
    "tigerlake": "clearcpuid=fsrm",
}

AMD_MODELS = ("ryzen", "phenom", "athlon", "turion", "trinity", "zambezi")

HOST_MEMORY_MOST = 2048  # MiB that the emulator holds itself; it swaps to a file beyond

CONFIGURATION = """\
display_library: {display}
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault=0{msrs}
memory: guest={memory}, host={host_memory}
romimage: file={bios}
vgaromimage: file={vga}
ata0-master: type=disk, path={disk}, mode=flat, cylinders={cylinders}, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev={log}
com2: enabled=1, mode={com2_mode}, dev={com2}
clock: sync=none
log: {emulator_log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def is_packaged(executable: str) -> bool:
    """Debian's own 2.7, the fallback: it has a debugger inside and needs a display."""
    return executable.startswith("/usr/")


def kernel_options(executable: str, model: str, cpus: int, ips_per_cpu: int = IPS_PER_CPU) -> str:
    """What the emulated machine needs on the kernel's command line."""
    options = [
        "console=ttyS0,115200",  # the default of 9600 is simulated faithfully
        "tsc=reliable",
        f"tsc_early_khz={ips_per_cpu * cpus // 1000}",
        "loglevel=4",
        "cryptomgr.notests=1",
        "printk.devkmsg=on",
        "panic=0",
        "slab_nomerge",  # a cache that is left behind keeps its name
        MODEL_OPTIONS.get(model, ""),
        # A CPU in MWAIT is emulated three times slower than one in HLT, and only among others.
        "idle=nomwait" if cpus > 1 else "",
    ]
    if is_packaged(executable):
        # 2.7 reports a wrong size of the XSAVE area.
        options += ["clearcpuid=xsavec,xsaves"]
    return " ".join(o for o in options if o)


def start(executable, directory, *, model, cpus, memory, bios, vga, cylinders, com2, terminal, ips_per_cpu=IPS_PER_CPU):
    """Starts the emulator with the disk image directory/disk; logs lie beside it."""
    packaged = is_packaged(executable)
    with open(os.path.join(directory, "bochsrc"), "w", encoding="ascii") as f:
        f.write(
            CONFIGURATION.format(
                display='rfb, options="timeout=0"' if packaged else "nogui",
                model=model,
                cpus=cpus,
                ips=ips_per_cpu * cpus,
                # 2.7 and the AMD models lack more of them than the kernel survives.
                msrs="" if packaged or model.startswith(AMD_MODELS) else f", ignore_bad_msrs=0, msrs={MSRS}",
                memory=memory,
                host_memory=min(memory, HOST_MEMORY_MOST),
                bios=bios,
                vga=vga,
                disk=os.path.join(directory, "disk"),
                cylinders=cylinders,
                log=os.path.join(directory, "kernel.log"),
                com2_mode="term" if terminal else "file",
                com2=com2,
                emulator_log=os.path.join(directory, "emulator.log"),
            )
        )
    command = [executable, "-q", "-f", "bochsrc"]
    if packaged:
        with open(os.path.join(directory, "debugger"), "w", encoding="ascii") as f:
            f.write("c\n")
        command += ["-rc", "debugger"]
    with open(os.path.join(directory, "emulator.out"), "wb") as out:
        return subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def die_with_parent() -> None:
    """Even if this process is killed with SIGKILL, no emulator keeps running."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(process) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def broken_rule(directory: str) -> str:
    """What tests/rig/bochs/0010-strict-vmcs.patch ended the run for, or nothing."""
    words = last_words(directory)
    return words[words.index(RULE) :].rstrip(" <") if RULE in words else ""


def stack_at_broken_rule(directory: str) -> list[int]:
    """Words that may be return addresses, the innermost first."""
    with open(os.path.join(directory, "emulator.log"), encoding="utf-8", errors="replace") as f:
        words = [line.split(STACK)[1].split() for line in f if STACK in line]
    return [int(word, 16) for word in words[0]] if words else []


def last_words(directory: str) -> str:
    """Why the emulator ended, in its own words."""
    for name in ("emulator.log", "emulator.out"):
        try:
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as f:
                lines = [l.strip() for l in f if "PANIC" in l or ">>" in l]
        except OSError:
            continue
        if lines:
            return lines[-1]
    return "no reason given"
