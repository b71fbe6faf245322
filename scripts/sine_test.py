"""The StereoSampleGAN draft's sine test: what the default model makes of sounds that are one decaying sine each.

    python scripts/sine_test.py --minutes 4

Makes sines of random pitch, decay and level, trains the default model on them from nothing, and compares as many of its
sounds, none chosen, with sines that it never saw: whether a tone stays one line, whether it stands still, and whether
it only ever gets softer. The figures are the section 'sine test' of docs/sound.md, with a picture beside it. All that
is made stays in --work: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from document_sections import paragraphs, read_sections, signature, table, write_sections
from draw_walls import smaller
from measure_sound import DOCUMENT, INTRODUCTION, Settings, trained
from numpy.typing import NDArray

from dsp.pitch import envelope
from samplegan import store
from samplegan.audio import SAMPLE_RATE, wav_bytes
from samplegan.categories import category_named
from samplegan.config import Training, to_document
from samplegan.descriptors import describe
from samplegan.errors import SampleganError
from samplegan.evaluate.baselines import round_trip
from samplegan.evaluate.figures import RANGE_DB, spectrogram_wall
from samplegan.evaluate.sets import Sounds, model_sounds, read_folder
from samplegan.files import write_atomic
from samplegan.train import resolve_pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SECTION = "sine-test"
NAME, CATEGORY = "sines", "kick"
LEARNED, HELD_OUT, SHOWN, COLUMNS = 400, 100, 12, 4
LEARNED_SEED, HELD_OUT_SEED, DRAWN_SEED = 0, 1, 0

LOWEST_HZ, HIGHEST_HZ = 30.0, 400.0  # what the body of a drum may have
SHORTEST_DECAY_S, LONGEST_DECAY_S = 0.15, 0.75  # to -60 dB
FEWEST_PERIODS = 15  # of a decay: what is over sooner is no line
ATTACK_S = (0.001, 0.005)
LEVELS_DB = (-18.0, -1.0)

FROM_DB, TO_DB = -3.0, -30.0  # of the decay, where a tone is looked at
DECAY_DB = 60.0
TOP_HZ = 2_000.0
MOST_AROUND_DB, MOST_WANDER_CENTS, MOST_RISE_DB = -35.0, 20.0, 1.0  # of a tone that stayed one line


@dataclass(frozen=True)
class Tone:
    """What became of a sine."""

    hertz: float  # the strongest frequency
    decay_s: float  # to -60 dB, if it goes on as from -3 to -30 dB
    top_db: float  # the energy above 2 kHz, of all, attack and all
    rest_db: float  # further than a semitone from the strongest frequency, as it decays from -3 to -30 dB
    around_db: float  # further than an octave
    wander_cents: float  # how far its frequency strays from the median there, RMS; nan if that is too short
    rise_db: float  # the furthest its level rises again there: 0 if it only falls
    ripple_db: float  # how unsteadily it decays, as `samplegan inspect` says

    @property
    def is_too_short(self) -> bool:
        return math.isnan(self.wander_cents)

    @property
    def wobbles(self) -> bool:
        return self.wander_cents > MOST_WANDER_CENTS

    @property
    def rises(self) -> bool:
        return self.rise_db > MOST_RISE_DB

    @property
    def has_company(self) -> bool:
        return self.around_db > MOST_AROUND_DB

    @property
    def is_one_line(self) -> bool:
        return not (self.is_too_short or self.wobbles or self.rises or self.has_company)


def main() -> int:
    """Make, train, measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=Path("measured-runs"), help="where all of it is kept")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    given = parser.parse_args()
    os.environ["SAMPLEGAN_HOME"] = str(given.work.resolve())
    settings = Settings(None, given.work, given.minutes, 0, given.threads, HELD_OUT)
    try:
        run(settings, given.out)
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(settings: Settings, document: Path) -> None:
    """Whatever is not done yet, and the section."""
    folders = {
        name: write_sines(settings.work / NAME / name, count, seed)
        for name, count, seed in (
            ("learned", LEARNED, LEARNED_SEED),
            ("held-out", HELD_OUT, HELD_OUT_SEED),
        )
    }
    model_path, training = trained(
        NAME, sine_pack(folders["learned"]), settings, category=CATEGORY, minutes=settings.minutes
    )
    model = store.load_model(str(model_path))
    length_samples = model.representation.length_samples
    real = read_folder(folders["held-out"], "held-out sines", length_samples)
    made = model_sounds(model, HELD_OUT, DRAWN_SEED, length_samples).named("the model")
    there_and_back = round_trip(real, model.representation, DRAWN_SEED).named("their round trip")
    tones = {sounds.name: [tone(sound) for sound in sounds] for sounds in (real, there_and_back, made)}
    picture = document.parent / document.stem / "sine_test.png"
    write_atomic(picture, smaller(wall(real, tones[real.name], made, tones[made.name])))
    command = f"python scripts/sine_test.py --minutes {settings.minutes:g} --threads {settings.threads}"
    text = section(
        tones, real.name, made.name, training, f"{picture.parent.name}/{picture.name}", signature(command)
    )
    write_sections(document, INTRODUCTION, read_sections(document) | {SECTION: text})


# --- sines


def write_sines(folder: Path, count: int, seed: int) -> Path:
    """Fill a folder with sines, those that are not there yet."""
    for index in range(count):
        path = folder / f"sine_{index:03}.wav"
        if not path.exists():
            write_atomic(path, wav_bytes(sine(np.random.default_rng([seed, index]))))
    return folder


def sine(random: np.random.Generator) -> F32:
    """One decaying sine [2, sample], both channels alike: pitch and decay on logarithmic scales."""
    hertz = math.exp(random.uniform(math.log(LOWEST_HZ), math.log(HIGHEST_HZ)))
    shortest_s = max(SHORTEST_DECAY_S, FEWEST_PERIODS / hertz)
    decay_s = math.exp(random.uniform(math.log(shortest_s), math.log(LONGEST_DECAY_S)))
    attack_s = random.uniform(*ATTACK_S)
    peak = 10.0 ** (random.uniform(*LEVELS_DB) / 20.0)
    time_s = np.arange(round(category_named(CATEGORY).length_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    attack = 0.5 - 0.5 * np.cos(np.pi * np.minimum(time_s / attack_s, 1.0))
    mono = attack * 10.0 ** (-3.0 * time_s / decay_s) * np.sin(2.0 * np.pi * hertz * time_s)
    mono *= peak / np.abs(mono).max()
    return np.stack([mono, mono]).astype(np.float32)


def sine_pack(folder: Path) -> Path:
    """A pack definition of a folder of sines: the default, but for synthesised drums, which are no sines, controls,
    which nobody will turn, and playback speeds, which would move the highest sines out of what a body may have."""
    pack, _ = resolve_pack(folder, name=None, category=CATEGORY, synth_share=0.0)
    pack = replace(pack, speeds=(1.0,), training=replace(pack.training, control_sounds=0))
    file = folder.with_name("pack.yaml")
    write_atomic(file, yaml.safe_dump(to_document(pack)).encode())
    return file


# --- what became of them


def tone(audio: F32) -> Tone | None:
    """What became of a sine, of `audio[channel=2, sample]`; None for silence."""
    if float(np.abs(audio).max()) < 1e-4:
        return None
    spectra, hertz = spectra_of(audio)
    power = power_of(spectra)
    strongest_hz = float(hertz[np.argmax(power)])
    top_db = share_db(power, hertz > TOP_HZ)
    analytic = line(spectra.mean(axis=0), distance_octaves(hertz, strongest_hz))[: audio.shape[1]]
    level = np.abs(analytic)
    part = decaying(level)
    # The decay taken out: a sine that decays is no thin line, and what stands beside it may decay slower.
    steady = audio[:, part] / level[part] * np.hanning(part.stop - part.start)
    spectra, hertz = spectra_of(steady)
    power, octaves = power_of(spectra), distance_octaves(hertz, strongest_hz)
    ripple_db = describe(audio).ripple_db
    return Tone(
        hertz=strongest_hz,
        decay_s=(part.stop - part.start) / SAMPLE_RATE * DECAY_DB / (FROM_DB - TO_DB),
        top_db=top_db,
        rest_db=share_db(power, octaves > 1.0 / 12.0),
        around_db=share_db(power, octaves > 1.0),
        wander_cents=wander_cents(analytic[part], strongest_hz),
        rise_db=rise_db(envelope(audio.mean(axis=0), SAMPLE_RATE)),
        ripple_db=math.nan if ripple_db is None else ripple_db,
    )


def spectra_of(audio: NDArray) -> tuple[NDArray[np.complex128], F64]:
    """Spectra [channel, bin] and the frequencies of the bins, at most 0.2 Hz apart."""
    padded_samples = max(1 << 18, 1 << audio.shape[1].bit_length())
    spectra = np.fft.rfft(audio.astype(np.float64), padded_samples, axis=1)
    return spectra, np.arange(spectra.shape[1]) * (SAMPLE_RATE / padded_samples)


def power_of(spectra: NDArray[np.complex128]) -> F64:
    """Of both channels, [bin]."""
    return np.square(np.abs(spectra)).sum(axis=0)


def distance_octaves(hertz: F64, from_hz: float) -> F64:
    """How far frequencies lie from one."""
    return np.abs(np.log2(np.maximum(hertz, 1e-3) / from_hz))


def share_db(power: F64, wanted: NDArray[np.bool_]) -> float:
    """The share of the energy that a part of the spectrum has."""
    return 10.0 * math.log10(max(float(power[wanted].sum() / power.sum()), 1e-12))


def line(spectrum: NDArray[np.complex128], octaves: F64) -> NDArray[np.complex128]:
    """The analytic signal of what lies within half an octave of a frequency, fading out up to a whole one."""
    kept = 0.5 + 0.5 * np.cos(np.pi * np.clip(2.0 * octaves - 1.0, 0.0, 1.0))
    one_sided = np.zeros(2 * (spectrum.size - 1), dtype=np.complex128)
    one_sided[: spectrum.size] = 2.0 * kept * spectrum
    return np.fft.ifft(one_sided)


def decaying(level: NDArray) -> slice:
    """From -3 to -30 dB after the highest level."""
    level_db = 20.0 * np.log10(np.maximum(level / level.max(), 1e-9))
    highest = int(np.argmax(level_db))
    start, stop = (
        highest + int(np.argmax(np.append(level_db[highest:] <= below_db, True)))
        for below_db in (FROM_DB, TO_DB)
    )
    return slice(start, stop)


def wander_cents(analytic: NDArray[np.complex128], hertz: float) -> float:
    """RMS deviation of a tone's frequency, each taken over two periods, from its median; nan if there are too few."""
    phase = np.unwrap(np.angle(analytic))
    apart = round(2.0 * SAMPLE_RATE / hertz)
    turns = (phase[apart:] - phase[:-apart]) / (2.0 * np.pi)
    if turns.size < apart:
        return math.nan
    cents = 1200.0 * np.log2(np.maximum(turns, 0.1))
    return float(np.sqrt(np.mean((cents - np.median(cents)) ** 2)))


def rise_db(level: NDArray) -> float:
    """The furthest that a level rises over what it had fallen to."""
    level_db = 20.0 * np.log10(np.maximum(level[decaying(level)], 1e-9))
    return float((level_db - np.minimum.accumulate(level_db)).max(initial=0.0))


# --- the picture and the section


def wall(
    real: Sounds, real_tones: Sequence[Tone | None], made: Sounds, made_tones: Sequence[Tone | None]
) -> bytes:
    """The first sines and the first of the model's sounds, from low to high."""

    def from_low_to_high(sounds: Sounds, tones: Sequence[Tone | None]) -> list[F32]:
        pitch = [0.0 if each is None else each.hertz for each in tones[:SHOWN]]
        return [sounds[int(index)] for index in np.argsort(pitch, kind="stable")]

    length_ms = 1000.0 * category_named(CATEGORY).length_seconds
    caption = (
        f"each {length_ms:.0f} ms wide, 30 Hz to 20 kHz from bottom to top, {RANGE_DB:.0f} dB, left channel above "
        "right; none chosen, from low to high"
    )
    return spectrogram_wall(
        from_low_to_high(real, real_tones),
        from_low_to_high(made, made_tones),
        ("held-out sines", "the model"),
        caption,
        columns=COLUMNS,
    )


def section(
    tones: dict[str, list[Tone | None]], real: str, model: str, training: dict, picture: str, signed: str
) -> str:
    """What was measured, in words."""
    header = (
        *("", "Hz", "decay, s", "above 2 kHz, dB", "beyond a semitone, dB", "beyond an octave, dB"),
        *("wander, cents", "rise, dB", "ripple, dB", "one line"),
    )
    rows = [(f"**{name}**" if name == model else name, *cells(found)) for name, found in tones.items()]
    return paragraphs(
        "## Sine test",
        f"The draft's question: what does a model make of data that is nothing but a sine? {LEARNED} decaying sines of "
        f"{LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz, {SHORTEST_DECAY_S:g} to {LONGEST_DECAY_S:g} s to -{DECAY_DB:g} dB, "
        f"attacks of {1000 * ATTACK_S[0]:g} to {1000 * ATTACK_S[1]:g} ms, both channels alike. The default model "
        f"learned from them as from {CATEGORY}s, from nothing, at one playback speed: {training['steps']:,} steps of "
        f"{training['batch']} sounds in {training['seconds'] / 60:.1f} minutes, the discriminator playing from step "
        f"{Training().game_from_step:,} on; the model kept is that of step {training['kept_step']:,}. Then {HELD_OUT} "
        f"sounds were drawn from it, none chosen, beside {HELD_OUT} sines that it never saw, and these through an "
        "image and back.",
        table(header, rows),
        "Medians, in brackets what nine of ten stay below; of *Hz* and *decay* where nine of ten lie. *Above 2 kHz*: "
        "of the energy of the whole sound, its attack included. All that follows is on the way from "
        f"{FROM_DB:g} to {TO_DB:g} dB. *Beyond a semitone*, *an octave*: the energy further than that from the "
        "strongest frequency, of all, the decay taken out (what is soon over is no thin line, even if it is a sine). "
        "*Wander*: how far the frequency strays from its median (RMS). *Rise*: the furthest that the level rises "
        "again. *Ripple*: how unsteadily it decays. *One line*: at most "
        f"{MOST_AROUND_DB:g} dB beyond an octave, {MOST_WANDER_CENTS:g} cents of wander and {MOST_RISE_DB:g} dB of "
        "rise.",
        verdict(tones, real, model),
        "The draft saw random lines above such tones. Here an image keeps the tone as a track of level and frequency, "
        "so it is one line to begin with; what could go wrong is its course, and what is drawn around it.",
        f"![Spectrograms of held-out sines on the left, of what the model makes on the right]({picture})",
        signed,
    )


def cells(found: Sequence[Tone | None]) -> list[str]:
    """The figures of one set."""
    hertz, decay_s, *others = np.array([astuple(each) for each in found if each is not None]).T
    share = np.mean([each is not None and each.is_one_line for each in found])
    return [
        "{:.0f} … {:.0f}".format(*np.quantile(hertz, (0.05, 0.95))),
        "{:.2f} … {:.2f}".format(*np.quantile(decay_s, (0.05, 0.95))),
        *(
            f"{np.nanmedian(values):.{digits}f} ({np.nanquantile(values, 0.9):.{digits}f})"
            for values, digits in zip(others, (0, 0, 0, 1, 2, 2), strict=True)
        ),
        f"{share:.0%}",
    ]


def verdict(tones: dict[str, list[Tone | None]], real: str, model: str) -> str:
    """What is wrong with how many of the model's sounds, and what of the sines they lack, in words."""
    made = tones[model]
    heard = {name: [each for each in found if each is not None] for name, found in tones.items()}
    counts = {
        "their frequency wanders": sum(each.wobbles for each in heard[model]),
        "their level rises again": sum(each.rises for each in heard[model]),
        "something sounds beyond an octave": sum(each.has_company for each in heard[model]),
        "they are over too soon to tell": sum(each.is_too_short for each in heard[model]),
        "they are silent": len(made) - len(heard[model]),
    }
    wrong = [f"{number} because {words}" for words, number in counts.items() if number]
    kept = sum(each.is_one_line for each in heard[model])

    def octaves(name: str, values: Sequence[float]) -> str:
        low, high = np.quantile(values, (0.05, 0.95))
        return f"{math.log2(high / low):.1f} octaves ({name})"

    pitches, decays = (
        " and ".join(octaves(name, [getattr(each, key) for each in heard[name]]) for name in (model, real))
        for key in ("hertz", "decay_s")
    )
    tops = ", ".join(
        f"{np.median([each.top_db for each in found]):.0f} dB ({name})" for name, found in heard.items()
    )
    return (
        f"Of {len(made)} sounds of the model {kept} stayed one line"
        + (f"; the others did not: {', '.join(wrong)}" if wrong else "")
        + f". Above 2 kHz there is an energy of {tops}. Nine of ten pitches lie within {pitches}, nine of ten decays "
        f"within {decays}."
    )


if __name__ == "__main__":
    sys.exit(main())
