"""The line at the top, that at the bottom, and the panel at the side."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from appliance.terminal.keys import DEEDS, short_key
from appliance.terminal.state import WORKERS, Known
from appliance.terminal.themes import Palette

Say = Callable[..., str]
"""Returns a text by its key and values, in the person's language."""

_COLORS = {
    "listening": "luna",
    "thinking": "busy",
    "starting": "busy",
    "updating": "busy",
    "speaking": "good",
    "muted": "bad",
    "error": "bad",
}
_WELL = {"ready": "good", "open": "good", "closed": "good", "starting": "busy"}


def state_line(known: Known, say: Say, palette: Palette, width: int, *, code_only: bool) -> Text:
    """Return the line of state, provider, speed and quota; what does not fit is left away."""
    if not known.connected:
        name, color = say("terminal.waiting"), "bad"
    else:
        name, color = say(f"state.{known.state}"), _COLORS.get(known.state, "soft")
    line = Text(no_wrap=True, overflow="ellipsis", end="")
    line.append(" Luna ", f"bold {palette.luna}")
    line.append(f"● {name}", getattr(palette, color))
    parts: list[tuple[str, str]] = []
    if code_only:
        parts.append((say("terminal.code_only"), palette.busy))
    if known.connected and known.detail and known.state in ("thinking", "error", "starting"):
        parts.append((known.detail, palette.soft))
    if known.provider:
        who = say("terminal.local") if known.provider == "local" else known.provider
        parts.append((f"{who} {known.model}".strip(), palette.soft))
    if known.tokens_per_second:
        parts.append((f"{known.tokens_per_second:.0f} tokens/s", palette.soft))
    if (quota := known.quota_left) is not None and quota.percent is not None:
        left = max(0, round(100 - quota.percent))
        words = say("terminal.quota_left", provider=quota.provider, percent=left)
        parts.append((words, palette.bad if left <= 20 else palette.soft))  # noqa: PLR2004
    for words, style in parts:
        room = width - line.cell_len - 4
        if room < 8:  # noqa: PLR2004 - no word fits
            break
        shown = words if cell_len(words) <= room else words[: room - 1] + "…"
        line.append(" · ", palette.soft).append(shown, style)
    return line


def health_lines(known: Known, say: Say, palette: Palette, width: int) -> Text:
    """Return the side panel: workers, devices, rings, latencies of the last turn."""
    lines: list[Text] = [Text(say("terminal.health"), f"bold {palette.luna}")]

    def row(name: str, value: str, color: str, mark: bool = True) -> None:
        line = Text("● " if mark else "  ", getattr(palette, color), no_wrap=True)
        room = width - 3 - cell_len(value)
        shown = name if cell_len(name) <= room else name[: max(0, room - 1)] + "…"
        line.append(shown.ljust(room + 1), palette.ink)
        line.append(value, palette.soft if color in ("good", "soft") else getattr(palette, color))
        lines.append(line)

    def head(key: str) -> None:
        lines.extend((Text(), Text(say(key), f"bold {palette.luna}")))

    for name in WORKERS:
        worker = known.workers.get(name)
        status = str(worker["status"]) if worker else "stopped"
        words = say(f"status.{status}")
        if worker and worker.get("restarts"):
            words += f" ({worker['restarts']}x)"
        row(say(f"worker.{name}"), words, _WELL.get(status, "bad"))
    for name, status in (("microphone", known.microphone), ("speaker", known.speaker)):
        shown = "muted" if name == "microphone" and known.muted else status
        words = say(f"status.{shown}") if shown else "-"
        row(say(f"page.{name}"), words, _WELL.get(shown, "bad") if shown else "soft")
    head("terminal.rings")
    for key, count in (("lost_blocks", known.lost_blocks), ("gaps", known.gaps)):
        words = "-" if count is None else f"{count:.0f}"
        row(say(f"terminal.{key}"), words, "bad" if count else "soft", mark=False)
    head("terminal.last_turn")
    for key in ("stt_ms", "first_token_ms", "first_audio_ms", "total_ms"):
        ms = known.timings.get(key, 0.0)
        row(say(f"terminal.{key}"), _duration(ms) if ms else "-", "soft", mark=False)
    if known.findings:
        lines.append(Text())
        for finding in known.findings[:3]:
            color = palette.bad if finding.get("level") == "critical" else palette.busy
            lines.append(Text(_finding(finding, say), color))
    return Text("\n").join(lines)


def footer_line(say: Say, palette: Palette, width: int) -> tuple[Text, list[tuple[int, int, str]]]:
    """Return the keys that matter most, and from where to where each can be clicked."""
    line = Text(no_wrap=True, overflow="ellipsis", end="")
    spans: list[tuple[int, int, str]] = []
    for deed in (deed for deed in DEEDS if deed.footer):
        key, name = short_key(deed.keys[0]), say(f"terminal.do_{deed.name}")
        size = cell_len(key) + cell_len(name) + 3
        if line.cell_len + size > width:
            continue
        start = line.cell_len
        line.append(f" {key} ", f"bold {palette.luna}").append(f"{name} ", palette.soft)
        spans.append((start, line.cell_len, deed.name))
    return line, spans


def _duration(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004


def _finding(finding: dict[str, object], say: Say) -> str:
    values = finding.get("values")
    try:
        return say(str(finding["text_key"]), **(values if isinstance(values, dict) else {}))
    except (KeyError, IndexError):
        return str(finding.get("name", ""))


class Bar(Static):
    """Shows a text; the same again costs nothing on the line to the terminal."""

    _shown: Text | None = None

    def show(self, text: Text) -> None:
        """Show *text*."""
        if self._shown is None or (text, text.spans) != (self._shown, self._shown.spans):
            self._shown = text
            self.update(text)


class Footer(Bar):
    """The keys; a click on one is the same as the key."""

    class Chosen(Message):
        """A key was clicked."""

        def __init__(self, deed: str) -> None:
            super().__init__()
            self.deed = deed

    def __init__(self, say: Say, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._say = say
        self._spans: list[tuple[int, int, str]] = []

    def draw(self, palette: Palette) -> None:
        """Show the keys for the present width."""
        line, self._spans = footer_line(self._say, palette, self.size.width)
        self.show(line)

    def on_click(self, event: events.Click) -> None:
        for start, end, deed in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(deed))
