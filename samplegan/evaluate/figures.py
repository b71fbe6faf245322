"""What held-out and generated sounds look like, side by side: spectrograms, waveforms, characteristics; and of a model,
how it was trained and what it learned.

matplotlib takes most of a second to import, so it is imported only when something is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import SAMPLE_RATE
from samplegan.evaluate.analysis import MeasuredSet
from samplegan.evaluate.canvas import DPI, QUIET_INK, new_figure, png_of
from samplegan.evaluate.course import course_png
from samplegan.evaluate.distributions import LEAST_SPREADS
from samplegan.evaluate.kernels import kernel_sheet, layers
from samplegan.evaluate.report import Report
from samplegan.evaluate.table import CHARACTERISTICS
from samplegan.figures import FFT_SAMPLES, GRID, INK, LEFT, RIGHT, plain, plain_frame
from samplegan.wall import COLUMNS, coloured

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NAMES = (
    "spectrograms",
    "waveforms",
    "characteristics",
    "training",
    "kernels",
)  # of all that a report may have
SHOWN = COLUMNS * COLUMNS  # sounds of each set
RANGE_DB = 80.0
LOWEST_HZ, HIGHEST_HZ = 30.0, 20_000.0
_TILE_BANDS, _TILE_FRAMES = 112, 176  # pixels of one channel
_GAP, _CHANNEL_GAP = 8, 2
_MOST_BINS = 24  # of a histogram
_REAL, _MADE = "#b9b9b9", LEFT


@dataclass(frozen=True)
class Picture:
    """A PNG, and what it shows in words."""

    png: bytes
    title: str
    words: str


def pictures(report: Report) -> dict[str, Picture]:
    """All pictures of a report by their names; the same report gives the same bytes.

    Training is drawn where the subject's log is at hand, kernels where it is a model.
    """
    real, made = (_shown(each) for each in (report.real, report.generated))
    sides = (f"held out ({report.against.name})", report.subject.name)
    both = f"{len(real)} held-out sounds on the left, {len(made)} of {report.subject.name} on the right"
    milliseconds = f"{1000 * report.length_seconds:.0f} ms"
    axes = f"each {milliseconds} wide, 30 Hz to 20 kHz from bottom to top, {RANGE_DB:.0f} dB, left channel above right"
    order = "sorted from short to long"
    drawn = {
        "spectrograms": Picture(
            spectrogram_wall(real, made, sides, f"{axes}, {order}"),
            "Spectrograms",
            f"{both}: {axes}, {order}.",
        ),
        "waveforms": Picture(
            _waveforms(
                real, made, sides, f"each {milliseconds} wide, left channel before right (orange), {order}"
            ),
            "Waveforms",
            f"{both}: left channel blue, before the right one in orange, each {milliseconds} wide, {order}.",
        ),
        "characteristics": Picture(
            _histograms(report),
            "Characteristics",
            f"How characteristics are distributed: held-out sounds grey, {report.subject.name} blue.",
        ),
    }
    if report.course is not None:
        drawn["training"] = Picture(
            course_png(report.course),
            "Training",
            f"Step by step: how far sounds of {report.subject.name} (blue) were from those that its training held out, "
            "and how much of these they covered, by coarse images, beside the sounds learned from (grey); below, every "
            f"loss and its running mean. Orange: step {report.course.kept_step:,}, whose weights were kept.",
        )
    if report.model is not None:
        drawn["kernels"] = Picture(
            kernel_sheet(layers(report.model), f"Learned kernels of {report.subject.name}"),
            "Learned kernels",
            "What the convolutions at both ends of the generator learned: each kernel scaled to its largest weight, "
            "blue above 0, orange below.",
        )
    return drawn


def _shown(measured: MeasuredSet) -> list[F32]:
    """Sounds spread evenly over a set, the shortest first."""
    count = len(measured.sounds)
    chosen = [index * count // SHOWN for index in range(SHOWN)] if count > SHOWN else list(range(count))
    decays = np.nan_to_num(measured.values("decay_40_log2_s"), nan=-np.inf)
    return [measured.sounds[index] for index in sorted(chosen, key=lambda index: (decays[index], index))]


# --- spectrograms


def spectrogram_wall(
    real: list[F32], made: list[F32], sides: tuple[str, str], caption: str, *, columns: int = COLUMNS
) -> bytes:
    """A PNG of two walls of sounds [2, sample], left channel above right, each wall under its title."""
    walls = [_wall(sounds, columns) for sounds in (real, made)]
    height = max(wall.shape[0] for wall in walls)
    margin, gutter, above, below = 28, 36, 64, 44
    width = 2 * margin + gutter + sum(wall.shape[1] for wall in walls)
    full_height = height + above + below
    figure = new_figure(width / DPI, full_height / DPI)
    left = margin
    for wall, title in zip(walls, sides, strict=True):
        picture = np.pad(wall, ((0, height - wall.shape[0]), (0, 0)), constant_values=np.nan)
        figure.figimage(coloured(picture), left, below, origin="upper")
        figure.text(
            left / width,
            1.0 - 0.6 * above / full_height,
            plain(title),
            fontsize=15,
            fontweight="bold",
            color=INK,
            va="center",
        )
        left += wall.shape[1] + gutter
    figure.text(margin / width, 0.5 * below / full_height, caption, fontsize=13, color=QUIET_INK, va="center")
    return png_of(figure)


def _wall(sounds: list[F32], columns: int) -> F32:
    """Tiles in rows, [row of pixels, column of pixels]; nan between them."""
    tiles = [
        np.concatenate([upper, np.full((_CHANNEL_GAP, _TILE_FRAMES), np.nan), lower])
        for upper, lower in (_tile(sound)[:, ::-1] for sound in sounds)
    ]
    tiles += [np.full_like(tiles[0], np.nan)] * (-len(tiles) % columns)
    tiles = [np.pad(tile, ((0, _GAP), (0, _GAP)), constant_values=np.nan) for tile in tiles]
    rows = [np.concatenate(tiles[first : first + columns], axis=1) for first in range(0, len(tiles), columns)]
    return np.concatenate(rows)[:-_GAP, :-_GAP].astype(np.float32)


def _tile(sound: F32) -> F32:
    """Levels of both channels [2, band, frame], -1 … 1 over RANGE_DB below the sound's loudest point.

    A window of 46 ms up to 125 Hz, which a kick's tone needs, goes over to one of 23 ms at 1 kHz and above.
    """
    hertz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, _TILE_BANDS)
    share = np.clip(np.log2(hertz / 125.0) / 3.0, 0.0, 1.0)
    centres = np.linspace(0, sound.shape[1] - 1, _TILE_FRAMES).astype(np.int64)
    levels_db = np.stack(
        [
            share * _levels_db(channel, centres, 1024, hertz)
            + (1.0 - share) * _levels_db(channel, centres, 2048, hertz)
            for channel in sound
        ]
    )
    below_db = levels_db.transpose(0, 2, 1) - levels_db.max()
    return np.asarray(np.clip(1.0 + 2.0 * below_db / RANGE_DB, -1.0, 1.0), dtype=np.float32)


def _levels_db(channel: F32, centres: NDArray[np.int64], window_samples: int, hertz: F64) -> F64:
    """Levels [frame, band] of Hann frames around `centres`, 0 for a full-scale sine."""
    window = np.hanning(window_samples + 1)[:-1]
    padded = np.pad(channel, window_samples // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_samples)[centres] * window
    magnitude = np.abs(np.fft.rfft(frames, FFT_SAMPLES, axis=1)) * (2.0 / window.sum())
    levels_db = 20.0 * np.log10(np.maximum(magnitude, 1e-7))
    bins = np.arange(levels_db.shape[1]) * (SAMPLE_RATE / FFT_SAMPLES)
    return np.stack([np.interp(hertz, bins, frame) for frame in levels_db])


# --- waveforms


def _waveforms(real: list[F32], made: list[F32], sides: tuple[str, str], caption: str) -> bytes:
    figure = new_figure(13.0, 7.2)
    for axis, sounds, title in zip(figure.subplots(1, 2), (real, made), sides, strict=True):
        for index, sound in enumerate(sounds):
            row, column = divmod(index, COLUMNS)
            _draw_small(axis, sound, 1.06 * column, -2.25 * row)
        axis.set_title(plain(title), loc="left", fontsize=15, fontweight="bold", color=INK, pad=10)
        axis.set_xlim(-0.02, 1.06 * COLUMNS - 0.04)
        axis.set_ylim(-2.25 * COLUMNS + 1.05, 1.1)
        axis.set_axis_off()
    figure.subplots_adjust(left=0.015, right=0.995, top=0.92, bottom=0.05, wspace=0.03)
    figure.text(0.015, 0.015, caption, fontsize=10.5, color=QUIET_INK)
    return png_of(figure)


def _draw_small(axis: Any, sound: F32, left: float, middle: float) -> None:
    """One waveform as the range of its samples, 240 columns wide and 2 high."""
    columns = 240
    starts = np.arange(columns) * sound.shape[1] // columns
    place = left + np.arange(columns) / columns
    axis.plot([left, left + 1.0], [middle, middle], color=GRID, linewidth=0.6, zorder=0)
    is_mono = np.array_equal(*sound)
    # The right channel shows where it goes beyond the left one.
    for channel, colour in ((sound[1], RIGHT), (sound[0], LEFT))[is_mono:]:
        low, high = (reduce.reduceat(channel, starts) for reduce in (np.minimum, np.maximum))
        axis.fill_between(place, middle + low, middle + high, color=colour, linewidth=0.4)


# --- characteristics


def _histograms(report: Report) -> bytes:
    rows = -(-(len(CHARACTERISTICS) + 1) // 4)
    figure = new_figure(13.0, 2.35 * rows)
    axes = figure.subplots(rows, 4).ravel()
    for axis, (name, label) in zip(axes, CHARACTERISTICS.items(), strict=False):
        real, made = (label.readable(each.values(name)) for each in (report.real, report.generated))
        _draw_histogram(axis, real, made, is_log=label.is_log, narrowest=4.0 * LEAST_SPREADS[name])
        ks = report.differences[name].distance
        unit = f", {label.unit}" if label.unit else ""
        axis.set_title(f"{label.words}{unit}", fontsize=10.5, color=INK, loc="left", fontweight="bold")
        axis.set_title(f"KS {ks:.2f}", fontsize=9, color=QUIET_INK, loc="right")
    key = axes[len(CHARACTERISTICS)]
    for place, (colour, words) in enumerate(((_REAL, "held out"), (_MADE, report.subject.name))):
        key.add_patch(_patch((0.0, 0.62 - 0.22 * place), 0.12, 0.12, colour, filled=place == 0))
        key.text(0.17, 0.68 - 0.22 * place, plain(words), fontsize=11, color=INK, va="center")
    for axis in axes[len(CHARACTERISTICS) :]:
        axis.set_axis_off()
    figure.tight_layout(h_pad=1.4, w_pad=1.2)
    return png_of(figure)


def _draw_histogram(axis: Any, real: F64, made: F64, *, is_log: bool, narrowest: float) -> None:
    real, made = real[~np.isnan(real)], made[~np.isnan(made)]
    both = np.concatenate([real, made])
    plain_frame(axis)
    axis.spines["left"].set_visible(False)
    axis.set_yticks([])
    if not both.size:
        return
    low, high = np.quantile(both, (0.005, 0.995))
    if is_log:
        low, high = low / 1.05, high * 1.05
        axis.set_xscale("log")
    elif high - low < narrowest:
        low, high = high - narrowest, high + 0.1 * narrowest
    bins = min(_MOST_BINS, 2 * math.isqrt(max(real.size, made.size)))  # of few sounds more would be gaps
    edges = np.geomspace(low, high, bins + 1) if is_log else np.linspace(low, high, bins + 1)
    for values, filled in ((real, True), (made, False)):
        if values.size:
            shares = np.histogram(np.clip(values, low, high), edges)[0] / values.size
            axis.stairs(
                shares, edges, fill=filled, color=_REAL if filled else _MADE, linewidth=0 if filled else 1.6
            )
    axis.set_xlim(low, high)
    axis.set_ylim(0.0, None)
    if is_log:
        _plain_log_ticks(axis, low, high)


def _plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """At most five round numbers, written out."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    for steps in ((1, 1.5, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in range(-5, 6) for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 5:
            break
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticklabels([f"{tick:g}" for tick in ticks])


def _patch(corner: tuple[float, float], width: float, height: float, colour: str, *, filled: bool) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        corner, width, height, facecolor=colour if filled else "none", edgecolor=colour, linewidth=1.6
    )
