"""Small pictures of time series for Slack: figure objects only, no pyplot, so it can run in a thread. Used by the metrics gatherer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from bot.clients.prometheus import Series

WIDTH, HEIGHT, DPI = 600, 240, 100
INK, GRID, ALARM = "#1d1c1d", "#dddddd", "#c0392b"
COLOURS = ("#1264a3", "#2bac76", "#9b59b6", "#e8912d", "#616061")
LONGEST_LABEL = 60


def line_chart(
    series: Sequence[Series], *, limit: float | None = None, since: datetime | None = None, names: Sequence[str] = ()
) -> bytes:
    """A PNG, dark on white: at most five lines, a dashed line at `limit`, a dotted one at `since`. Times are UTC."""
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots()
    for number, one in enumerate(series[: len(COLOURS)]):
        times, values = zip(*one.points, strict=True)
        axes.plot(times, values, color=COLOURS[number], linewidth=1.8, marker="." if len(times) == 1 else "")
    if limit is not None:
        axes.axhline(limit, color=ALARM, linestyle="--", linewidth=1.1)
    if since is not None:
        axes.axvline(
            float(date2num(since)),  # type: ignore[no-untyped-call]
            color=INK,
            linestyle=":",
            linewidth=1.1,
        )
    moments = [at for one in series for at, _ in one.points]
    if moments and min(moments) == max(moments):  # a fresh Prometheus: an axis needs a width
        half = timedelta(seconds=30)
        axes.set_xlim(*date2num([moments[0] - half, moments[0] + half]))  # type: ignore[no-untyped-call]
    _dress(axes)
    if names:
        labels = [name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…" for name in names]
        legend = axes.legend(axes.get_lines()[: len(series)], labels, fontsize=7, frameon=False, loc="upper left")
        for text in legend.get_texts():
            text.set_parse_math(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _dress(axes: Axes) -> None:
    """Axes that are readable on a phone: little ink, UTC, zero included when it is near."""
    locator = AutoDateLocator(tz=UTC, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    low, high = axes.get_ylim()
    if 0 < low < high / 2:
        axes.set_ylim(bottom=0)
