# SPDX-License-Identifier: GPL-2.0-only
"""The second serial port: the command's output, with control lines of boot/init between.

A control line is \\036, the secret of this run, a blank, words, a newline. Everything else
is output, passed on byte by byte as soon as it cannot be the beginning of a control line.
"""


class Channel:
    def __init__(self, secret: str, output) -> None:
        self.prefix = b"\x1e" + secret.encode() + b" "
        self.output = output
        self.pending = b""
        self.running = False
        self.events: list[list[str]] = []

    def feed(self, data: bytes) -> None:
        self.pending += data
        while self.pending:
            start = self._next_control()
            self._emit(self.pending[:start])
            self.pending = self.pending[start:]
            end = self.pending.find(b"\n")
            if end < 0 or not self.pending.startswith(self.prefix):
                return
            words = self.pending[len(self.prefix) : end].decode(errors="replace").split(" ")
            self.pending = self.pending[end + 1 :]
            self._event(words)

    def _next_control(self) -> int:
        """Where a control line begins or may begin; the length if nowhere."""
        start = self.pending.find(b"\x1e")
        while start >= 0:
            head = self.pending[start : start + len(self.prefix)]
            if self.prefix.startswith(head):
                return start
            start = self.pending.find(b"\x1e", start + 1)
        return len(self.pending)

    def _emit(self, data: bytes) -> None:
        if data and self.running:
            self.output(data)

    def _event(self, words: list[str]) -> None:
        if words[0] == "begin":
            self.running = True
        elif words[0] == "end":
            self.running = False
        self.events.append(words)

    def has(self, name: str) -> bool:
        return any(e[0] == name for e in self.events)

    def of(self, name: str) -> list[list[str]]:
        return [e[1:] for e in self.events if e[0] == name]
