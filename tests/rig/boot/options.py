# SPDX-License-Identifier: GPL-2.0-only
"""The command line and the exit statuses that tests/rig/host and tests/rig/hw have in common.

A test names what it needs without knowing on which of the two it runs.
"""
import argparse
import sys

STATUS_VMX_RULE = 118
STATUS_INSMOD = 119
STATUS_LOG = 120
STATUS_RMMOD = 121
STATUS_VMX = 122
STATUS_LEAK = 123
STATUS_HANG = 124
STATUS_SETUP = 125
STATUS_DIED = 126


def parse(program: str, description: str):
    p = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--kernel", choices=["6.1", "6.12", "lean"], default="6.1", help="default: 6.1")
    p.add_argument("--cpus", type=int, default=1, metavar="N", help="host CPUs, 1 to 8 (default: 1)")
    p.add_argument("--model", default="corei7_skylake_x", help="the emulator's CPU model")
    p.add_argument("--memory", type=int, default=1024, metavar="MIB", help="default: 1024")
    p.add_argument("--timeout", type=float, default=120, metavar="S", help="wall-clock seconds (default: 120)")
    p.add_argument("--append", default="", metavar="OPTIONS", help="more options for the host's kernel")
    p.add_argument("--file", action="append", default=[], metavar="SRC[:DST]", help="copy a file or directory")
    p.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="KO[,P=V...]",
        help="load a .ko file, or a stock module by its name, and unload it afterwards",
    )
    p.add_argument("--vhm", nargs="?", const="", metavar="P=V,...", help="build VHM for this kernel and load it")
    p.add_argument("--allow", metavar="REGEX", help="lines of the kernel log that are expected, though they look bad")
    p.add_argument("--leaks", action="store_true", help="with --kernel lean: kmemleak on, slow; a leak is status 123")
    p.add_argument("--reboots", action="store_true", help="the command reboots the host, which must come up again")
    p.add_argument("--log", metavar="FILE", help="keep the kernel log")
    p.add_argument("--ips", type=int, default=20, metavar="M", help="million instructions a second of a CPU (default: 20)")
    p.add_argument("--count", action="store_true", help="in the emulator that counts events (tests/rig/bochs/count)")
    p.add_argument("--interactive", action="store_true", help="this terminal is the command's terminal")
    p.add_argument("--verbose", action="store_true", help="the kernel log on standard error")
    p.add_argument("command", nargs="+", metavar="COMMAND")
    args = p.parse_args()
    if not 1 <= args.cpus <= 8:
        p.error("--cpus is 1 to 8")
    if not 256 <= args.memory <= 3072:
        p.error("--memory is 256 to 3072")
    if not 1 <= args.ips <= 1000:
        p.error("--ips is 1 to 1000")
    if args.leaks and args.kernel != "lean":
        p.error("--leaks needs --kernel lean")
    if args.interactive and not sys.stdin.isatty():
        p.error("--interactive needs a terminal")
    return args
