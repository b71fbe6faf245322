"""The picture of one sound, and of several ways to the same sound: waveforms and spectrograms of both channels.

matplotlib takes most of a second to import, so it is imported only when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import SAMPLE_RATE, read_audio, to_stereo_44k
from samplegan.files import write_atomic
from samplegan.inspection import Report

F32 = NDArray[np.float32]

_WINDOW_SAMPLES = 1024
FFT_SAMPLES = 4 * _WINDOW_SAMPLES  # zero-padded: the low end of a logarithmic axis is not made of slabs then
_SHORTEST_HOP_SAMPLES = 32
_RANGE_DB = 80.0
_LOWEST_HZ = 30.0
INK, GRID = "#222222", "#d9d9d9"
LEFT, RIGHT, _ORIGINAL = "#1f6f8b", "#d1603d", "#9a9a9a"
_ATTACK_MS = 30.0


@dataclass(frozen=True)
class Column:
    """One column of a comparison: `audio[channel=2, sample]` at 44,100 Hz, and words above it."""

    title: str
    caption: str
    audio: F32


def plot_inspection(report: Report, out_png: Path) -> None:
    """Draw the file of `report` to `out_png`. Raises UnreadableAudio, or MachineError on writing."""
    audio = to_stereo_44k(read_audio(report.path))
    write_atomic(out_png, sound_png(audio, title=report.path.name, caption=_caption(report)))


def sound_png(audio: F32, *, title: str, caption: str = "") -> bytes:
    """The picture of `audio[channel=2, sample]` at 44,100 Hz as PNG bytes; equal sounds give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    is_mono = bool(np.array_equal(audio[0], audio[1]))
    figure = Figure(
        figsize=(10.0, 8.0 if not is_mono else 6.0), dpi=120, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    heights = (1.0, 2.2) if is_mono else (1.0, 1.6, 1.6)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _draw_waveform(axes[0], audio, is_mono)
    spectra = [_spectrogram_db(channel) for channel in (audio[:1] if is_mono else audio)]
    loudest = max(float(levels.max()) for levels in spectra)
    names = ("both channels",) if is_mono else ("left", "right")
    for axis, levels, name in zip(axes[1:], spectra, names, strict=True):
        mesh = _draw_spectrogram(axis, levels - loudest, audio.shape[1], name)
    axes[-1].set_xlabel("time in ms", color=INK)
    bar = figure.colorbar(mesh, ax=list(axes[1:]), pad=0.01, aspect=40)
    bar.set_label("dB below the loudest point", color=INK)
    bar.outline.set_visible(False)
    figure.suptitle(plain(title), fontsize=13, color=INK, x=0.02, ha="left", fontweight="bold")
    if caption:
        axes[0].set_title(caption, fontsize=9, color="#555555", loc="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def comparison_png(columns: Sequence[Column], *, title: str) -> bytes:
    """The original in the first column, reconstructions of it beside it, as PNG bytes; equal sounds, equal bytes.

    Waveforms, whole and at the attack, stand before the original's in grey, turned to its polarity, which magnitudes
    cannot tell; spectrograms share one scale.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    original = columns[0].audio
    sounds = [_with_polarity_of(original, column.audio) for column in columns]
    is_mono = all(np.array_equal(*sound) for sound in sounds)
    heights = (1.0, 1.0, 2.0) if is_mono else (1.0, 1.0, 1.6, 1.6)
    figure = Figure(
        figsize=(5.0 * len(columns), 8.0 if is_mono else 10.0),
        dpi=110,
        facecolor="white",
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), len(columns), sharey="row", squeeze=False, height_ratios=heights)
    spectra = [
        [_spectrogram_db(channel) for channel in (sound[:1] if is_mono else sound)] for sound in sounds
    ]
    loudest = max(float(levels.max()) for levels in spectra[0])
    highest = max(1e-6, *(float(np.abs(sound).max()) for sound in sounds))
    names = ("both channels",) if is_mono else ("left", "right")
    for index, (column, sound) in enumerate(zip(columns, sounds, strict=True)):
        whole, attack = axes[:2, index]
        for axis, stop_ms in ((whole, sound.shape[1] * 1000.0 / SAMPLE_RATE), (attack, _ATTACK_MS)):
            _draw_waveform(axis, sound, np.array_equal(*sound), behind=original if index else None)
            axis.set_xlim(0.0, stop_ms)
            axis.set_ylim(-1.08 * highest, 1.08 * highest)
        whole.set_title(f"{plain(column.title)}\n", fontsize=12, color=INK, loc="left", fontweight="bold")
        whole.text(
            0.0,
            1.04,
            plain(column.caption),
            transform=whole.transAxes,
            fontsize=9,
            color="#555555",
            va="bottom",
        )
        for axis, levels, name in zip(axes[2:, index], spectra[index], names, strict=True):
            mesh = _draw_spectrogram(axis, levels - loudest, sound.shape[1], name)
        axes[-1, index].set_xlabel("time in ms", color=INK)
        if index:
            for axis in axes[:, index]:
                axis.set_ylabel("")
                axis.tick_params(labelleft=False)
        if legend := attack.get_legend():
            legend.remove()
    axes[1, 0].set_ylabel("attack", color=INK)
    bar = figure.colorbar(mesh, ax=list(axes[2:, -1]), pad=0.02, aspect=40)
    bar.set_label("dB below the original's loudest point", color=INK)
    bar.outline.set_visible(False)
    figure.suptitle(plain(title), fontsize=13, color=INK, x=0.02, ha="left", fontweight="bold")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _with_polarity_of(original: F32, audio: F32) -> F32:
    return -audio if float(np.vdot(original, audio)) < 0.0 else audio


def _draw_waveform(axis: Any, audio: F32, is_mono: bool, *, behind: F32 | None = None) -> None:
    time_ms = np.arange(audio.shape[1]) * (1000.0 / SAMPLE_RATE)
    if behind is not None:
        lines = axis.plot(time_ms, behind.T, color=_ORIGINAL, linewidth=1.8)
        lines[0].set_label("original")
    if is_mono:
        axis.plot(time_ms, audio[0], color=LEFT, linewidth=0.7, label="both channels")
    else:
        axis.plot(time_ms, audio[0], color=LEFT, linewidth=0.7, label="left")
        axis.plot(time_ms, audio[1], color=RIGHT, linewidth=0.7, alpha=0.7, label="right")
    if behind is not None or not is_mono:
        axis.legend(loc="upper right", frameon=False, fontsize=9, ncols=3)
    highest = max(float(np.abs(audio).max()), 1e-6)
    axis.set_ylim(-1.08 * max(highest, 0.05), 1.08 * max(highest, 0.05))
    axis.set_xlim(0.0, time_ms[-1] if time_ms.size > 1 else 1.0)
    axis.set_ylabel("amplitude", color=INK)
    axis.grid(True, color=GRID, linewidth=0.5)
    axis.axhline(0.0, color=GRID, linewidth=0.8, zorder=0)
    axis.set_axisbelow(True)
    plain_frame(axis)


def _draw_spectrogram(axis: Any, levels_db: F32, samples: int, name: str) -> Any:
    """A mesh, not an image: its frequency axis is logarithmic."""
    from matplotlib.ticker import FixedLocator, NullLocator

    frames, bins = levels_db.shape
    time_ms = (np.arange(frames + 1) - 0.5) * (_hop_samples(samples) * 1000.0 / SAMPLE_RATE)
    frequency_hz = (np.arange(bins + 1) - 0.5) * (SAMPLE_RATE / FFT_SAMPLES)
    frequency_hz[0] = frequency_hz[1] / 4.0  # a logarithmic axis has no zero
    mesh = axis.pcolormesh(
        time_ms, frequency_hz, levels_db.T, cmap="magma", vmin=-_RANGE_DB, vmax=0.0, rasterized=True
    )
    axis.set_yscale("log")
    axis.set_ylim(_LOWEST_HZ, SAMPLE_RATE / 2.0)
    axis.set_xlim(0.0, max(samples - 1, 1) * 1000.0 / SAMPLE_RATE)
    ticks = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
    axis.yaxis.set_major_locator(FixedLocator(ticks))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_yticklabels([f"{tick // 1000} kHz" if tick >= 1000 else f"{tick} Hz" for tick in ticks])
    axis.set_ylabel(name, color=INK)
    axis.set_facecolor("black")
    plain_frame(axis)
    return mesh


def _hop_samples(samples: int) -> int:
    """At most some 1,000 columns: more than a picture of this width can show."""
    return max(_SHORTEST_HOP_SAMPLES, -(-samples // 1_000))


def _spectrogram_db(channel: F32) -> F32:
    """Levels `[frame, bin]` in dB of centred Hann frames."""
    half = _WINDOW_SAMPLES // 2
    hop = _hop_samples(channel.size)
    padded = np.pad(channel, (half, half + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::hop]
    window = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    magnitude = np.abs(np.fft.rfft(frames * window, FFT_SAMPLES, axis=1))
    return (20.0 * np.log10(np.maximum(magnitude, 1e-7))).astype(np.float32)


def plain_frame(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(colors=INK, labelsize=9)


def plain(text: str) -> str:
    """Text without what matplotlib would take for mathematics, or cannot draw."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def _caption(report: Report) -> str:
    parts = [
        f"{report.duration_s:.3f} s",
        f"{report.loudness.momentary_lufs:.1f} LUFS",
        f"{round(report.loudness.true_peak_dbtp, 1) + 0.0:.1f} dBTP",
    ]
    sound = report.descriptors
    if sound is not None:
        parts.append(f"decay {sound.decay_40_db_s * 1000:.0f} ms")
        if sound.note is not None:
            parts.append(f"{sound.pitch_hz:.1f} Hz ({sound.note})")
    parts += [defect.name for defect in report.defects]
    return "   ".join(parts)
