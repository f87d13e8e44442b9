"""What a person or a machine gets to see: results, tables, progress, errors.

With JSON, stdout carries the result as its last line and stderr carries progress as JSON lines.
Without, stdout carries text, and progress is bars on a terminal and plain lines elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reentra import clock as clocks
from reentra import errors, progress

if TYPE_CHECKING:
    from rich.console import Console

EXIT_PARTIAL = 3
PIPE_WIDTH = 220  # columns of a table that is not on a terminal: nothing is cut short for grep
LINE_SECONDS = 2.0  # how often a plain progress line is printed for one activity
EVENT_SECONDS = 0.5  # the same for JSON lines


def show_error(failure: errors.Error, *, as_json: bool) -> None:
    """Print ``Error: ...`` and what to do on stderr; with JSON the document on stdout too."""
    sys.stdout.flush()
    print(f"Error: {failure.message}", file=sys.stderr)
    hint = hint_of(failure)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {**failure.to_json(), "hint": hint}}), flush=True)


def hint_of(failure: errors.Error) -> str:
    """Return what to do next, with what to type for it."""
    if not failure.typed:
        return failure.hint
    typed = failure.typed if "`" in failure.typed else f"`{failure.typed}`"
    return f"{failure.hint.removesuffix('.')}: {typed}." if failure.hint else f"{typed}."


class Screen:
    """The output of one command."""

    def __init__(
        self, *, as_json: bool, has_plain_progress: bool = True, clock: clocks.Clock = clocks.SYSTEM
    ) -> None:
        self.as_json = as_json
        self._has_plain_progress = has_plain_progress
        self._clock = clock
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        if self._console is None:
            from rich.console import Console

            is_terminal = sys.stdout.isatty()
            self._console = Console(
                highlight=False,
                width=None if is_terminal else PIPE_WIDTH,
                soft_wrap=not is_terminal,
            )
        return self._console

    def say(self, text: str = "") -> None:
        """Print a line for a person; silent with JSON. Rich markup is understood."""
        if not self.as_json:
            self.console.print(text)

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""
        if self.as_json:
            print(json.dumps({"event": "warning", "message": text}), file=sys.stderr)
        else:
            print(f"Warning: {text}", file=sys.stderr)

    def result(self, document: Any) -> None:
        """Print the JSON result as the last line of stdout; silent without JSON."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False), flush=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
    ) -> None:
        """Print a table; ``numbers`` are the columns to be set to the right."""
        if self.as_json:
            return
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            table.add_column(
                column,
                justify="right" if index in numbers else "left",
                overflow="fold",
                no_wrap=index in numbers,
            )
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table)

    @contextlib.contextmanager
    def progress(self) -> Iterator[progress.Listener]:
        """Show progress while the block runs."""
        if self.as_json:
            yield _JsonLines(self._clock)
        elif sys.stderr.isatty():
            with _Bars() as bars:
                yield bars
        else:
            yield _PlainLines(self._clock) if self._has_plain_progress else progress.ignore


def escaped(text: str) -> str:
    """Return ``text`` so that rich prints it as it is."""
    from rich.markup import escape

    return escape(text)


def plural(count: int, noun: str) -> str:
    """Return ``1 object``, ``2,000 objects``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class _JsonLines:
    """Progress as JSON lines on stderr."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._shown_at: dict[str, float] = {}

    def __call__(self, event: progress.Event) -> None:
        match event:
            case progress.Started(activity, total):
                self._write({"event": "started", "activity": activity, "total": total})
            case progress.Advanced(activity, done, total):
                now = self._clock.monotonic_seconds()
                if now - self._shown_at.get(activity, float("-inf")) >= EVENT_SECONDS:
                    self._shown_at[activity] = now
                    self._write(
                        {"event": "advanced", "activity": activity, "done": done, "total": total}
                    )
            case progress.Finished(activity, done, summary):
                self._write(
                    {"event": "finished", "activity": activity, "done": done, "summary": summary}
                )
            case progress.Waiting(reason, seconds):
                self._write({"event": "waiting", "reason": reason, "seconds": seconds})
            case progress.Noted(message, is_warning):
                self._write({"event": "warning" if is_warning else "note", "message": message})

    def _write(self, document: dict[str, Any]) -> None:
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr, flush=True)


class _PlainLines:
    """Progress as lines of text on stderr, for logs and pipes."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._shown_at: dict[str, float] = {}

    def __call__(self, event: progress.Event) -> None:
        match event:
            case progress.Advanced(activity, done, total):
                now = self._clock.monotonic_seconds()
                if now - self._shown_at.setdefault(activity, now) >= LINE_SECONDS:
                    self._shown_at[activity] = now
                    self._write(f"{activity}: {_counted(done, total)}")
            case progress.Finished(activity, done, summary):
                self._write(f"{activity}: {summary or f'{done:,}'}")
            case progress.Waiting(reason, seconds):
                if seconds >= LINE_SECONDS:
                    self._write(f"waiting {seconds:.0f} s: {reason}")
            case progress.Noted(message, is_warning):
                self._write(f"Warning: {message}" if is_warning else message)
            case _:
                pass

    def _write(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class _Bars:
    """Progress as bars with counts, rate and time left, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            SpinnerColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class RateColumn(ProgressColumn):
            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                return Text(f"{speed:,.0f}/s" if speed else "", style="dim")

        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: progress.Event) -> None:
        match event:
            case progress.Started(activity, total):
                self._bar(activity, total)
            case progress.Advanced(activity, done, total):
                self._progress.update(
                    self._bar(activity, total), completed=done, total=total, note=""
                )
            case progress.Finished(activity, done, summary):
                self._progress.update(
                    self._bar(activity, done), completed=done, total=done, note=escaped(summary)
                )
            case progress.Waiting(reason, seconds):
                for bar in self._progress.tasks:
                    if not bar.finished:
                        self._progress.update(bar.id, note=f"waiting {seconds:.0f} s: {reason}")
            case progress.Noted(message, is_warning):
                mark = "[yellow]![/] " if is_warning else ""
                self._progress.console.print(mark + escaped(message))

    def _bar(self, activity: str, total: int | None) -> Any:
        if activity not in self._bars:
            self._bars[activity] = self._progress.add_task(escaped(activity), total=total, note="")
        return self._bars[activity]


def _counted(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"
