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
    """One line of the table. at_most: absolute, with mitigations off; of_kvm: share of KVM's value.

    told: for information, whatever it costs.
    """

    name: str
    title: str
    at_most: float | None = None
    of_kvm: float | None = None
    told: bool = False


ROWS = [
    Row("cpuid", "CPUID exit", at_most=300),
    Row("vmcall", "VMCALL, unknown number", at_most=280),
    Row("rdmsr", "RDMSR handled in the kernel"),
    Row("pio-out", "OUT to user space and back", at_most=1200),
    Row("pio-in", "IN from user space", at_most=1200),
    Row("mmio-write", "MMIO write to user space, with decode", at_most=2400),
    Row("mmio-read", "MMIO read from user space, with decode", at_most=2500),
    Row("run-return", "run ioctl that returns at once", at_most=600),
    Row("ioctl-host", "of it the host's own", told=True),
    Row("timer-halt", "APIC timer + HLT, beyond 0.5 ms", at_most=4000),
    Row("timer-halt-2ms", "the same, beyond 2 ms"),
    Row("life-cycle", "VM + vCPU + slot: create and destroy", at_most=100_000),
    Row("create", "of it create"),
    Row("destroy", "of it destroy"),
    Row("many-first", "the first of 1,000 in one process", at_most=100_000),
    Row("many-last", "the last of them", at_most=100_000),
    Row("many-growth", "growth from first to last, ratio", at_most=1.1),
    Row("idle-memory", "kernel memory of an idle VM, KiB", at_most=64),
    Row("idle-memory-run", "the same, once it has run, KiB"),
    Row("ept-resident", "EPT violation, 4 KiB, page resident", at_most=1700),
    Row("ept-absent", "EPT violation, 4 KiB, not resident", at_most=5000),
    Row("ept-large", "EPT violation, 2 MiB, page resident", at_most=2100),
    Row("second-pass", "exits as 256 MiB are written again, number", at_most=0),
    Row("harvest", "dirty harvest, 64 MiB, 1,000 written", at_most=250_000),
    Row("harvest-none", "the same, none written", at_most=1500),
    Row("track-start-4k", "start of tracking, 256 MiB, 4 KiB", of_kvm=0.5),
    Row("track-write-4k", "a first write to a page afterwards", told=True),
    Row("track-start-2m", "start of tracking, 256 MiB, 2 MiB", of_kvm=0.5),
    Row("track-write-2m", "a first write to a page afterwards", told=True),
    Row("unmap-running", "munmap of 64 MiB, guest running", of_kvm=0.6),
    Row("unmap-host", "of it the host's own", told=True),
    Row("unmap-added", "of it the hypervisor's", of_kvm=0.6),
    Row("unmap-2m", "munmap of 64 MiB of 2 MiB pages", told=True),
    Row("unmap-host-2m", "of it the host's own", told=True),
    Row("unmap-added-2m", "of it the hypervisor's", told=True),
    Row("faults-1", "EPT violation, 4 KiB, of one vCPU", told=True),
    Row("faults-2", "the same, of two at once, ticks of both", told=True),
    Row("parallel-faults", "of both over those of one, ratio", at_most=1.15),
    Row("computation", "pure computation over the host's, ratio", at_most=1.01),
]
FIELDS = ["name", "backend", "unit", "median", "min", "mean", "operations", "rounds", "exits"]
UNITS = ("ticks", "KiB", "ratio", "number")
# Medians of whole rounds: a timer tick of the host that nearly every round has adds its exit.
COUNT_SLACK = 0.1
ESTIMATE_OF_KVM = 0.6
FLUSHES = ("invept", "invvpid")
# What must not exceed KVM's.
COMPARED = {
    "exits": ("exits",),
    "VMREAD": ("vmread",),
    "VMWRITE": ("vmwrite",),
    "WRMSR": ("wrmsr",),
    "flushes": FLUSHES,
}
SHOWN = {
    "RDMSR": ("rdmsr",),
    "locked": ("locked",),
    "CR": ("cr-write",),
    "IPI": ("ipi",),
    "instructions": ("instructions",),
}


class Results:
    """Medians by row, backend and unit; an event that was counted is a unit of its own."""

    def __init__(self, text: str) -> None:
        self.value = {}
        self.unit = {}
        for line in csv.DictReader(io.StringIO(text), FIELDS):
            self.value[line["name"], line["backend"], line["unit"]] = float(line["median"])
            if line["unit"] in UNITS:
                self.unit[line["name"]] = line["unit"]
        self.events = {(name, backend) for name, backend, unit in self.value if unit == "instructions"}

    def get(self, row: Row, backend: str) -> float | None:
        return self.value.get((row.name, backend, self.unit.get(row.name, "")))

    def count(self, row: Row, backend: str, events) -> float | None:
        """Events an operation; None where nothing was counted."""
        if (row.name, backend) not in self.events:
            return None
        return sum(self.value.get((row.name, backend, event), 0) for event in events)


def read_costs(path: str) -> dict[str, tuple[float, bool]]:
    """Cycles of an event, and whether they are our own guess."""
    costs = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                event, cycles, source = line.split(None, 2)
                costs[event] = (float(cycles), source.startswith("[5]"))
    return costs


def estimate(row: Row, results: Results, backend: str, costs, guess: float = 1.0) -> float | None:
    """Cycles an operation, beyond the bare exits and entries; guess scales the guessed costs."""
    if (row.name, backend) not in results.events:
        return None
    return sum(
        value * costs[unit][0] * (guess if costs[unit][1] else 1)
        for (name, owner, unit), value in results.value.items()
        if name == row.name and owner == backend and unit in costs and unit != "exits"
    )


def bar(row: Row, results: Results, mitigations: str) -> float | None:
    """The most VHM may cost. With the host's default mitigations the bar is KVM's own value."""
    if row.at_most is not None and mitigations == "off":
        return row.at_most
    kvm = results.get(row, "kvm")
    if mitigations != "off":
        judged = row.at_most is not None or row.of_kvm is not None
        return kvm if judged and results.unit.get(row.name) == "ticks" else None
    return kvm * row.of_kvm if kvm is not None and row.of_kvm is not None else None


def number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if unit == "ratio" else f"{value:,.0f}"


def verdict(row: Row, results: Results, mitigations: str) -> str:
    most, value = bar(row, results, mitigations), results.get(row, "vhm")
    if most is None:
        return ""
    return "met" if value is not None and value <= most else "MISSED"


def cells(results: Results, mitigations: str) -> list[list[str]]:
    table = [["row", "operation; ticks unless said", "KVM", "VHM", "VHM/KVM", "at most", ""]]
    for row in ROWS:
        if row.name not in results.unit:
            continue
        unit = results.unit[row.name]
        kvm, vhm = results.get(row, "kvm"), results.get(row, "vhm")
        ratio = f"{vhm / kvm:.2f}" if kvm and vhm is not None else "-"
        most = bar(row, results, mitigations)
        table.append(
            [
                row.name,
                row.title,
                number(kvm, unit),
                number(vhm, unit),
                ratio,
                number(most, unit),
                verdict(row, results, mitigations),
            ]
        )
    return table


# ------------------------------------------------------------------ events --


def exceeded(row: Row, results: Results) -> list[str]:
    """The events that VHM has more of than KVM; empty also where one side was not counted."""
    if row.told or not all((row.name, backend) in results.events for backend in ("kvm", "vhm")):
        return []
    return [
        name
        for name, events in COMPARED.items()
        if results.count(row, "vhm", events) > results.count(row, "kvm", events) + COUNT_SLACK
    ]


def ratio_of_cycles(row: Row, results: Results, costs, guess: float = 1.0) -> float | None:
    kvm, vhm = (estimate(row, results, backend, costs, guess) for backend in ("kvm", "vhm"))
    return vhm / kvm if kvm and vhm is not None else None


def ratio_range(row: Row, results: Results, costs) -> str:
    """VHM's cycles over KVM's, and between which values it lies with guesses half or twice as large."""
    ratios = [ratio_of_cycles(row, results, costs, guess) for guess in (1.0, 0.5, 2.0)]
    if None in ratios:
        return "-"
    return f"{ratios[0]:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def pair(kvm: float | None, vhm: float | None) -> str:
    def one(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:,.0f}" if abs(value) >= 100 or abs(value - round(value)) < 0.05 else f"{value:.1f}"

    return f"{one(kvm)}/{one(vhm)}".replace("-0/", "0/").replace("/-0", "/0")


def counted_rows(results: Results) -> list[Row]:
    return [row for row in ROWS if any((row.name, backend) in results.events for backend in ("kvm", "vhm"))]


def event_line(row: Row, results: Results, columns) -> list[str]:
    return [pair(*(results.count(row, b, events) for b in ("kvm", "vhm"))) for events in columns.values()]


def event_cells(results: Results, judged: bool) -> list[list[str]]:
    """What must not exceed KVM's, KVM/VHM."""
    table = [["KVM/VHM", *COMPARED, ""]]
    for row in counted_rows(results):
        over = exceeded(row, results)
        both = all((row.name, backend) in results.events for backend in ("kvm", "vhm"))
        end = ("MISSED: " + ", ".join(over) if over else "met") if both and judged and not row.told else ""
        table.append([row.name, *event_line(row, results, COMPARED), end])
    return table


def cycle_cells(results: Results, costs, judged: bool) -> list[list[str]]:
    """Other events, and the estimate, KVM/VHM."""
    table = [["KVM/VHM", *SHOWN, "cycles", "ratio", ""]]
    for row in counted_rows(results):
        cycles = pair(*(estimate(row, results, backend, costs) for backend in ("kvm", "vhm")))
        ratio = ratio_of_cycles(row, results, costs)
        end = "" if ratio is None or not judged or row.told else "met" if ratio <= ESTIMATE_OF_KVM else "MISSED"
        table.append([row.name, *event_line(row, results, SHOWN), cycles, ratio_range(row, results, costs), end])
    return table


# ------------------------------------------------------------- whole guests --


@dataclasses.dataclass(frozen=True)
class BootRow:
    """One line of the table of boots. of_bare: share of the bare machine's value; at_most: absolute."""

    name: str
    unit: str
    title: str
    of_bare: float | None = None
    at_most: float | None = None


BOOT_ROWS = [
    BootRow("boot-20", "ticks", "entry to /init, 20 M instructions/s", of_bare=1.08),
    BootRow("boot-200", "ticks", "the same, 200 M/s", of_bare=1.02),
    BootRow("boot-20", "exits", "VM exits until /init, 20 M/s", at_most=14_000),
    BootRow("boot-200", "exits", "the same, 200 M/s"),
    BootRow("exec-tiny-20", "ticks", "exec to the first guest instruction", at_most=1_500_000),
    BootRow("exec-20", "ticks", "the same, reading Linux, too"),
]


def boot_verdict(row: BootRow, results: Results) -> tuple[float | None, str]:
    """What is allowed, and whether it is kept."""
    vhm = results.value.get((row.name, "vhm", row.unit))
    most = row.at_most
    if row.of_bare is not None:
        bare = results.value.get((row.name, "bare", row.unit))
        most = bare * row.of_bare if bare else None
        if most is None:
            return None, "MISSED"
    if most is None:
        return None, ""
    return most, "met" if vhm is not None and vhm <= most else "MISSED"


def boot_cells(results: Results) -> list[list[str]]:
    table = [["row", "a whole guest", "bare", "VHM", "VHM/bare", "at most", ""]]
    for row in BOOT_ROWS:
        bare, vhm = (results.value.get((row.name, backend, row.unit)) for backend in ("bare", "vhm"))
        ratio = f"{vhm / bare:.3f}" if bare and vhm is not None else "-"
        most, end = boot_verdict(row, results)
        table.append([row.name, row.title, number(bare, ""), number(vhm, ""), ratio, number(most, ""), end])
    return table


def boot_missed(results: Results) -> list[str]:
    return [f"{row.name} {row.unit}" for row in BOOT_ROWS if boot_verdict(row, results)[1] == "MISSED"]


# ---------------------------------------------------------------- rendering --

SETTINGS = {
    "off": "mitigations=off",
    "default": "the host's default mitigations: KVM's own value is the most",
    "boot": "mitigations=off, a stock kernel as the guest",
    "hardware": "this machine as it was booted: KVM's own value is the most",
}


def nanoseconds(results: Results) -> list[list[str]]:
    """On a real machine: what the ticks of its TSC are in time."""
    table = [["operation", "unit", "KVM", "VHM"]]
    for row in ROWS:
        if results.unit.get(row.name) != "ticks":
            continue
        cells_ = [row.title, "ns"]
        for backend in ("kvm", "vhm"):
            ticks, khz = results.get(row, backend), results.value.get(("tsc", backend, "kHz"))
            cells_.append(number(ticks / khz * 1e6 if ticks is not None and khz else None, ""))
        table.append(cells_)
    return table


def render(setting: str, csv_text: str, costs) -> str:
    """All tables of one setting: the same text on the terminal and in the documentation."""
    results = Results(csv_text)
    if setting == "boot":
        return text(boot_cells(results))
    tables = [text(cells(results, setting))]
    if results.events:
        tables.append(text(event_cells(results, setting == "off"), left=1))
        tables.append(text(cycle_cells(results, costs, setting == "off"), left=1))
    if setting == "hardware":
        tables.append(text(nanoseconds(results)))
    return "\n\n".join(tables)


def missed_of(setting: str, csv_text: str, costs, everything: bool) -> list[str]:
    results = Results(csv_text)
    names = boot_missed(results) if setting == "boot" else missed(results, setting, costs, everything)
    return [f"{name} ({setting})" for name in names]


def split_settings(csv_text: str) -> dict[str, str]:
    """The CSV that is kept has the setting in front."""
    settings: dict[str, str] = {}
    for line in csv_text.splitlines()[1:]:
        setting, rest = line.split(",", 1)
        settings[setting] = settings.get(setting, "") + rest + "\n"
    return settings


def document(csv_text: str, costs) -> str:
    """The generated part of Documentation/performance.rst."""
    parts = []
    for setting, rest in split_settings(csv_text).items():
        body = "\n".join("    " + line if line else "" for line in render(setting, rest, costs).splitlines())
        parts.append(f"{SETTINGS[setting]}::\n\n{body}\n")
    return "\n".join(parts)


def text(table: list[list[str]], left: int = 2) -> str:
    """Columns, the first of them aligned to the left."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    out = []
    for line in table:
        parts = [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        parts[-1] = line[-1]
        out.append("  ".join(parts).rstrip())
    out.insert(1, "-" * max(len(line) for line in out))
    return "\n".join(out)


NOT_COUNTED = (
    *("create", "destroy", "many-", "idle-memory", "computation"),
    *("second-pass", "unmap-added", "parallel-faults"),
)


def missed(results: Results, setting: str, costs, everything: bool) -> list[str]:
    """Every bar that is not met, by row; of a whole run also those of which nothing is known."""
    judged = [row for row in ROWS if everything or row.name in results.unit]
    names = [row.name for row in judged if verdict(row, results, setting) == "MISSED"]
    if setting != "off":
        return names
    for row in judged:
        over = exceeded(row, results)
        if not row.told and (ratio_of_cycles(row, results, costs) or 0) > ESTIMATE_OF_KVM:
            over.append("cycles")
        if over:
            names.append(f"{row.name}: {', '.join(over)}")
        counted = {backend for name, backend in results.events if name == row.name}
        if everything and len(counted) != 2 and not row.name.startswith(NOT_COUNTED):
            names.append(f"{row.name}: not counted")
    return names
