# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmark's rows mean, what each may cost at most, and the table of both columns.

Owns the bars. Measures nothing: a value that is not in the results is shown as "-", and a bar
whose value is missing is never met.
"""
import csv
import dataclasses
import io


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. at_most: absolute, with mitigations off; of_kvm: share of KVM's value."""

    name: str
    title: str
    at_most: float | None = None
    of_kvm: float | None = None


ROWS = [
    Row("cpuid", "CPUID exit", at_most=300),
    Row("vmcall", "VMCALL, unknown number", at_most=280),
    Row("rdmsr", "RDMSR exit, handled in the kernel"),
    Row("pio-out", "PIO OUT to user space and back", at_most=1200),
    Row("pio-in", "PIO IN", at_most=1200),
    Row("mmio-write", "MMIO write to user space and back, decode included", at_most=2400),
    Row("mmio-read", "MMIO read", at_most=2500),
    Row("run-return", "run ioctl that returns at once", at_most=600),
    Row("timer-halt", "APIC timer + HLT to handler, beyond the 0.5 ms programmed", at_most=4000),
    Row("timer-halt-2ms", "the same, beyond 2 ms"),
    Row("life-cycle", "VM + vCPU + slot create, then destroy", at_most=100_000),
    Row("life-cycle-create", "of it create"),
    Row("life-cycle-destroy", "of it destroy"),
    Row("life-cycle-1st", "create and destroy, the first VMs of 1,000 in one process", at_most=100_000),
    Row("life-cycle-1000th", "the last of them", at_most=100_000),
    Row("life-cycle-growth", "growth from first to last", at_most=1.1),
    Row("idle-memory", "kernel memory of an idle VM with one vCPU", at_most=64),
    Row("idle-memory-run", "the same, once it has run"),
    Row("ept-resident", "EPT violation, 4 KiB, page resident in the host", at_most=1700),
    Row("ept-absent", "EPT violation, 4 KiB, not resident", at_most=5000),
]
BY_NAME = {row.name: row for row in ROWS}
FIELDS = ["name", "backend", "unit", "median", "min", "mean", "operations", "rounds", "exits"]


class Results:
    """Medians by row and backend, with their units."""

    def __init__(self, text: str) -> None:
        self.lines = [line for line in csv.DictReader(io.StringIO(text), FIELDS)]
        self.value = {(l["name"], l["backend"]): float(l["median"]) for l in self.lines}
        self.unit = {l["name"]: l["unit"] for l in self.lines}

    def get(self, row: Row, backend: str) -> float | None:
        return self.value.get((row.name, backend))


def bar(row: Row, results: Results, mitigations: str) -> float | None:
    """The most VHM may cost. With the host's default mitigations the bar is KVM's own value."""
    if row.at_most is not None and mitigations == "off":
        return row.at_most
    kvm = results.get(row, "kvm")
    if mitigations != "off":
        return kvm if row.at_most is not None and results.unit.get(row.name) == "ticks" else None
    return kvm * row.of_kvm if kvm is not None and row.of_kvm is not None else None


def number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if unit == "ratio" else f"{value:,.0f}"


def verdict(row: Row, results: Results, mitigations: str) -> str:
    most, value = bar(row, results, mitigations), results.get(row, "vhm")
    if most is None:
        return "-" if row.at_most is None and row.of_kvm is None else ("-" if mitigations != "off" else "MISSED")
    return "met" if value is not None and value <= most else "MISSED"


def cells(results: Results, mitigations: str) -> list[list[str]]:
    table = [["operation", "unit", "KVM", "VHM", "VHM/KVM", "at most", ""]]
    for row in ROWS:
        if row.name not in results.unit:
            continue
        unit = results.unit[row.name]
        kvm, vhm = results.get(row, "kvm"), results.get(row, "vhm")
        ratio = f"{vhm / kvm:.2f}" if kvm and vhm is not None else "-"
        table.append(
            [
                row.title,
                unit,
                number(kvm, unit),
                number(vhm, unit),
                ratio,
                number(bar(row, results, mitigations), unit),
                verdict(row, results, mitigations),
            ]
        )
    return table


def text(table: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    out = []
    for line in table:
        parts = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        out.append("  ".join(parts).rstrip())
    out.insert(1, "-" * len(out[0]))
    return "\n".join(out)


def missed(results: Results, mitigations: str) -> list[str]:
    return [row.name for row in ROWS if row.name in results.unit and verdict(row, results, mitigations) == "MISSED"]
