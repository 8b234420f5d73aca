# SPDX-License-Identifier: GPL-2.0-only
"""Finds trouble in a kernel log: what no test may cause on the host.

One list of patterns for every way a test is run (emulated host, User-Mode Linux, real machine).
"""
import re

TROUBLE = re.compile(
    "|".join(
        [
            r"\bWARNING: ",
            r"\bBUG\b",
            r"\bOops\b",
            r"Call Trace:",
            r"Kernel panic",
            r"general protection fault",
            r"unable to handle",
            r"unchecked MSR access",
            r"INFO: (task|possible|trying to register|lockdep)",
            r"rcu: .*(stall|self-detected|kthread starved)",
            r"soft lockup|hard LOCKUP",
            r"unreferenced object|kmemleak: [1-9]\d* new suspected",
            r"ODEBUG:|UBSAN:|KASAN:|KFENCE:|KCSAN:",
            r"refcount_t:|corruption\b|Objects remaining|still has objects|Bad page",
            r"inconsistent lock state|possible recursive locking|suspicious RCU usage",
            r"scheduling while atomic|sleeping function called",
            r"stack-protector:|double fault|Machine check|nobody cared",
        ]
    )
)
ALLOWED = re.compile(r"Speculative Return Stack Overflow|vulnerable|mitigation", re.I)
PANIC = re.compile(rb"Kernel panic - not syncing|end Kernel panic")


def trouble(lines, allowed=None) -> list[str]:
    """The lines that report trouble, without those the caller expects."""
    return [
        line
        for line in lines
        if TROUBLE.search(line) and not ALLOWED.search(line) and not (allowed and allowed.search(line))
    ]


def watched(text: str, secret: str) -> list[str]:
    """The lines between the marks that boot/init writes."""
    lines = text.splitlines()
    begin = next((i for i, l in enumerate(lines) if f"vhm-rig: {secret} watch" in l), len(lines))
    end = next((i for i, l in enumerate(lines) if f"vhm-rig: {secret} unwatch" in l), len(lines))
    return lines[begin + 1 : end]
