"""Files to reports: what a one-shot measures and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dsp.kernels import waveform
from samplegan.audio import SourceAudio, find_audio_files, read_audio, to_stereo_44k
from samplegan.descriptors import FULL_SCALE, Descriptors, describe
from samplegan.errors import InputError, UnreadableAudio
from samplegan.loudness import Loudness, measure

SCHEMA_VERSION = 1

# What a producer would send a sample back for. The quality gate of a finished pack is stricter.
_HIGHEST_DBTP = 0.05
_LATEST_ONSET_S = 0.0015
LOUDEST_DC_DBFS = -60.0
_LOUDEST_START_DBFS = -40.0
_LOUDEST_END_DBFS = -60.0
_LOUDEST_TAIL_DB = -30.0
_MOST_MONO_LOSS_DB = 3.0
_LEAST_LOW_CORRELATION = 0.5
_QUIETEST_LUFS = -40.0


@dataclass(frozen=True)
class Defect:
    """Something wrong with a sound: a name for programs, words for people."""

    name: str
    text: str


@dataclass(frozen=True)
class Report:
    """One file, measured. `descriptors` is None for silence and for sounds under 2 ms."""

    path: Path
    format: str
    subtype: str
    rate_hz: int
    channels: int
    frames: int
    size_bytes: int
    loudness: Loudness
    descriptors: Descriptors | None
    defects: tuple[Defect, ...]
    warnings: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        return self.frames / self.rate_hz

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": _printable(self.path),
            "format": self.format,
            "subtype": self.subtype,
            "rate_hz": self.rate_hz,
            "channels": self.channels,
            "frames": self.frames,
            "duration_s": self.duration_s,
            "size_bytes": self.size_bytes,
            "loudness": self.loudness.to_dict(),
            "descriptors": None if self.descriptors is None else self.descriptors.to_dict(),
            "defects": [{"name": defect.name, "text": defect.text} for defect in self.defects],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Inspection:
    """Every file of an inspection, in the order given; folders sorted by the bytes of the path."""

    reports: tuple[Report, ...]
    skipped: tuple[Skipped, ...]

    def to_dict(self) -> dict[str, Any]:
        """A document that `json.dumps(…, allow_nan=False)` accepts."""
        return {
            "schema_version": SCHEMA_VERSION,
            "files": [report.to_dict() for report in self.reports],
            "skipped": [{"path": _printable(entry.path), "reason": entry.reason} for entry in self.skipped],
        }


def inspect_file(path: Path) -> Report:
    """Measure one file. Raises UnreadableAudio if it cannot be read at all."""
    source = read_audio(path)
    audio = to_stereo_44k(source)
    loudness = measure(audio)
    descriptors: Descriptors | None = None
    try:
        # Runs of equal samples are counted before resampling, which would bend them.
        descriptors = replace(describe(audio), clipped_runs=_clipped_runs(source))
        defects = defects_of(descriptors, loudness, channels=source.info.channels)
    except InputError as error:
        defects = (Defect("no_sound", error.what),)
    info = source.info
    return Report(
        path=path,
        format=info.format,
        subtype=info.subtype,
        rate_hz=info.rate_hz,
        channels=info.channels,
        frames=source.samples.shape[1],
        size_bytes=info.size_bytes,
        loudness=loudness,
        descriptors=descriptors,
        defects=defects,
        warnings=source.warnings,
    )


def inspect_paths(paths: Sequence[Path]) -> Inspection:
    """Measure files and whatever lies in folders; what cannot be read is skipped and kept with its reason.

    Raises UnreadableAudio if a single file was asked for and cannot be read, and InputError if nothing could
    be.
    """
    files: list[Path] = []
    skipped: list[Skipped] = []
    for path in paths:
        found = find_audio_files(path) if path.is_dir() else [path]
        files += found
        if not found:
            skipped.append(Skipped(path, "no audio files here"))
    if not files:
        raise InputError(
            "no audio files here",
            file=paths[0] if paths else None,
            hint="looked for wav, flac, aiff, ogg, opus, mp3",
        )
    reports: list[Report] = []
    for file in files:
        try:
            reports.append(inspect_file(file))
        except UnreadableAudio as error:
            if len(paths) == 1 and file == paths[0]:
                raise
            skipped.append(Skipped(file, error.what))
    if not reports:
        raise InputError(
            f"none of {len(files)} files could be read; the first: {skipped[0].reason}", file=skipped[0].path
        )
    return Inspection(tuple(reports), tuple(skipped))


# --- words


def table(report: Report) -> str:
    """One file as readable text, a value per line, defects last."""
    lines = [
        _printable(report.path),
        _row(
            "format",
            f"{report.format} {report.subtype.replace('_', ' ')}, {report.rate_hz} Hz, "
            f"{_channels(report.channels)}",
        ),
        _row("length", f"{report.duration_s:.3f} s"),
        _row("loudness", _loudness_words(report.loudness)),
        _row(
            "peak",
            f"{_level(report.loudness.true_peak_dbtp)} dBTP, "
            f"{_level(report.loudness.sample_peak_dbfs)} dBFS, crest {report.loudness.crest_db:.1f} dB",
        ),
    ]
    sound = report.descriptors
    if sound is not None:
        lines += [
            _row("attack", f"{sound.attack_s * 1000:.1f} ms, onset at {sound.onset_s * 1000:.1f} ms"),
            _row(
                "decay",
                f"{_seconds(sound.decay_20_db_s)} to -20 dB, {_seconds(sound.decay_40_db_s)} to -40 dB",
            ),
            _row("pitch", _pitch_words(sound)),
            _row(
                "brightness",
                f"centroid {_hertz(sound.attack_centroid_hz)} at the attack, "
                f"{_hertz(sound.tail_centroid_hz)} in the tail; flatness {sound.flatness:.2f}",
            ),
            _row(
                "spectrum",
                f"{sound.low_share_db:.1f} dB below 120 Hz, {sound.high_share_db:.1f} dB above 6 kHz, "
                f"{sound.air_share_db:.1f} dB above 16 kHz",
            ),
            _row("width", _width_words(sound, report.channels)),
        ]
        if sound.ripple_db is not None:
            lines.append(_row("ripple", f"{sound.ripple_db:.1f} dB in the decay"))
        lines.append(_row("noise floor", f"{sound.noise_floor_dbfs:.0f} dBFS"))
    lines += [_row("warning", text) for text in report.warnings]
    lines += [_row("defect", defect.text) for defect in report.defects]
    if not report.defects:
        lines.append(_row("defects", "none"))
    return "\n".join(lines)


def summary_table(inspection: Inspection) -> str:
    """Many files as one line each, then what was skipped."""
    names = [report.path.name for report in inspection.reports]
    width = min(max((len(name) for name in names), default=4), 44)
    lines = [
        f"{'file':<{width}}  {'length':>8} {'LUFS':>6} {'dBTP':>6} {'attack':>8} {'decay':>8} {'pitch':>13} "
        f"{'bright':>8}  defects"
    ]
    for report in inspection.reports:
        name = _shortened(_printable(Path(report.path.name)), width)
        sound = report.descriptors
        lines.append(
            f"{name:<{width}}  {_seconds(report.duration_s):>8} {report.loudness.momentary_lufs:>6.1f} "
            f"{_level(report.loudness.true_peak_dbtp):>6} "
            + (
                f"{'-':>8} {'-':>8} {'-':>13} {'-':>8}"
                if sound is None
                else f"{sound.attack_s * 1000:>5.1f} ms {_seconds(sound.decay_40_db_s):>8} "
                f"{_short_pitch(sound):>13} {_hertz(sound.attack_centroid_hz):>8}"
            )
            + "  "
            + (", ".join(defect.name for defect in report.defects) or "-")
        )
    flawed = sum(bool(report.defects) for report in inspection.reports)
    count = len(inspection.reports)
    lines.append(f"{count} file{'s' if count != 1 else ''}, {flawed} with defects")
    if inspection.skipped:
        lines.append(f"{len(inspection.skipped)} skipped:")
        lines += [f"  {_printable(entry.path)}: {entry.reason}" for entry in inspection.skipped]
    return "\n".join(lines)


def defects_of(sound: Descriptors, loudness: Loudness, *, channels: int) -> tuple[Defect, ...]:
    """What a producer would send a measured sound back for."""
    found: list[Defect] = []
    if sound.clipped_runs:
        found.append(Defect("clipped", f"clipped: {_times(sound.clipped_runs)} at full scale"))
    if loudness.true_peak_dbtp > _HIGHEST_DBTP:
        found.append(Defect("over", f"the true peak is {loudness.true_peak_dbtp:.1f} dB over full scale"))
    if sound.dc_dbfs > LOUDEST_DC_DBFS:
        found.append(Defect("dc", f"a constant offset (DC) of {sound.dc_dbfs:.0f} dBFS"))
    if sound.clicks:
        found.append(
            Defect("clicks", f"{sound.clicks} click{'s' if sound.clicks != 1 else ''} inside the sound")
        )
    if sound.start_step_dbfs > _LOUDEST_START_DBFS:
        found.append(
            Defect("start_step", f"starts with a click: first sample at {sound.start_step_dbfs:.0f} dBFS")
        )
    if sound.end_step_dbfs > _LOUDEST_END_DBFS:
        found.append(Defect("end_step", f"ends with a click: last sample at {sound.end_step_dbfs:.0f} dBFS"))
    if sound.tail_db > _LOUDEST_TAIL_DB:
        found.append(
            Defect("cut_off", f"cut off: the end is only {-sound.tail_db:.0f} dB below the loudest moment")
        )
    if sound.onset_s > _LATEST_ONSET_S:
        found.append(Defect("late", f"starts late: {sound.onset_s * 1000:.1f} ms before the sound"))
    if channels > 1 and sound.mono_loss_db > _MOST_MONO_LOSS_DB:
        found.append(Defect("mono_loss", f"loses {sound.mono_loss_db:.1f} dB in mono"))
    # A hat may differ below 120 Hz as it likes: nothing is audible there.
    low = sound.low_correlation
    if low is not None and low < _LEAST_LOW_CORRELATION and sound.low_share_db > -20.0:
        found.append(Defect("wide_low", f"the channels differ below 120 Hz (correlation {low:.2f})"))
    if loudness.momentary_lufs < _QUIETEST_LUFS:
        found.append(Defect("quiet", f"very quiet: {loudness.momentary_lufs:.0f} LUFS"))
    return tuple(found)


def _clipped_runs(source: SourceAudio) -> int:
    return sum(waveform.flat_runs(channel, np.float32(FULL_SCALE), 3) for channel in source.samples)


def _row(label: str, text: str) -> str:
    return f"  {label:<12} {text}"


def _loudness_words(loudness: Loudness) -> str:
    integrated = (
        "" if loudness.integrated_lufs is None else f", {loudness.integrated_lufs:.1f} LUFS integrated"
    )
    return (
        f"{loudness.momentary_lufs:.1f} LUFS momentary maximum{integrated}, RMS {loudness.rms_dbfs:.1f} dBFS"
    )


def _pitch_words(sound: Descriptors) -> str:
    if sound.pitch_hz is None or sound.pitch_confidence < 0.1:
        return "none"
    words = f"{sound.pitch_hz:.1f} Hz"
    if sound.note is not None:
        words += f" ({sound.note} {sound.note_offset_cents:+.0f} cents, MIDI note {sound.midi_note})"
    words += f", confidence {sound.pitch_confidence:.2f}"
    semitones, sweep_s = sound.pitch_sweep_semitones or 0.0, sound.pitch_sweep_s or 0.0
    if abs(semitones) >= 1.0 and sweep_s > 0.0:
        direction = "falls" if semitones > 0.0 else "rises"
        words += f"; {direction} {abs(semitones):.0f} semitones in {sweep_s * 1000:.0f} ms"
    return words


def _short_pitch(sound: Descriptors) -> str:
    if sound.pitch_hz is None or sound.note is None:
        return "-"
    return f"{sound.pitch_hz:.1f} Hz {sound.note:<2}"


def _width_words(sound: Descriptors, channels: int) -> str:
    if channels == 1:
        return "mono"
    if sound.width_db <= -80.0:
        return "two equal channels"
    return f"side {sound.width_db:.1f} dB of mid, loses {sound.mono_loss_db:.1f} dB in mono"


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


def _level(decibels: float) -> str:
    """One decimal, and never -0.0."""
    return f"{round(decibels, 1) + 0.0:.1f}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1.0 else f"{seconds:.2f} s"


def _hertz(hertz: float) -> str:
    return f"{hertz:.0f} Hz" if hertz < 1000.0 else f"{hertz / 1000.0:.1f} kHz"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def _printable(path: Path) -> str:
    """The path as text that any terminal and JSON can hold, whatever bytes the name has."""
    return os.fsencode(path).decode("utf-8", "replace") if os.name != "nt" else str(path)
