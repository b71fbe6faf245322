"""Pack definitions and training settings: frozen dataclasses, filled from YAML without mercy for misspelt keys.

The defaults here are the documentation; `packs/*/pack.yaml` holds what differs per category.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from samplegan.categories import category_named
from samplegan.errors import ConfigError, did_you_mean

T = TypeVar("T")
PACK_FILE = "pack.yaml"
_LARGEST_YAML_BYTES = 1_000_000


@dataclass(frozen=True)
class Source:
    """Where training sounds come from: a synthesiser recipe or a folder; one of the two."""

    synth: str | None = None  # a category of the drum synthesiser
    count: int = 1500  # how many sounds to synthesise
    seed: int = 0  # the synthesiser's seed
    folder: str | None = None  # a folder of audio files, relative to pack.yaml; ~ is the home folder
    licence: str = "unknown"  # the licence of that folder's sounds, for the model card
    only_licences: tuple[str, ...] = ()  # take only files that a MANIFEST.csv gives one of these licences
    repeat: int = 1  # how often an epoch sees each sound of this source in training
    hold_out: bool = True  # whether some of its kits are held out, to judge the model by


@dataclass(frozen=True)
class ImageSettings:
    """How a sound becomes an image; see `samplegan.representation`."""

    name: str = "body"  # 'body' (partials and the rest), 'compact' (left and right) or 'draft'
    bands: int = 64  # cells along frequency; a multiple of 16
    frames: int = 64  # cells along time; a multiple of 16
    window_samples: int = 512  # of the analysis window (body, compact)
    hop_samples: int = 128  # between frames (body, compact)
    linear_bins: int = 5  # lowest bins kept one by one (body, compact)
    dense_frames: int = 18  # first frames kept one by one (body, compact)
    tonal_below_hz: float = 300.0  # what lies below is made of tones; above, of noise
    partials: int = 0  # that make the body of a sound (body)
    highest_partial_hz: float = 450.0  # where they are looked for (body)
    lines: bool = False  # whether its noise has lines of metal in it (body)
    channels: str = "mid-side"  # what the rest's two are; or 'left-right' (body)


# One moving partial explains the low band of a kick to -20 dB; snares and toms have two modes. What they leave there is
# noise, but for toms, whose window is long enough for the modes left. Cymbals and hats are many close lines.
_METAL = ImageSettings(bands=96, window_samples=1024, linear_bins=12, lines=True)
_CATEGORY_IMAGES = {
    "kick": ImageSettings(partials=1, tonal_below_hz=0.0),
    "snare": ImageSettings(partials=2, tonal_below_hz=0.0),
    "tom": ImageSettings(partials=2, highest_partial_hz=600.0, window_samples=1024, linear_bins=12),
    "perc": ImageSettings(partials=1, highest_partial_hz=1200.0, tonal_below_hz=0.0, lines=True),
    "hat_closed": ImageSettings(lines=True),
    "hat_open": _METAL,
    "cymbal": _METAL,
}


def compact_image(category: str) -> ImageSettings:
    """The settings of `compact` that suit a category."""
    # A kick or tom is its low end: 21 Hz a bin tell 45 Hz from 50, and the onset is known, so the long window costs no
    # pre-echo (measured: pitch within 0.1 semitones, 1.8 off with 1024). A closed hat is over before a long window is.
    # The tones of a snare lie below 450 Hz, and what is noise above them must not be taken for tones.
    image = ImageSettings(
        "compact", bands=128, window_samples=1024, linear_bins=40, dense_frames=24, tonal_below_hz=1000.0
    )
    if category in ("kick", "tom"):
        return dataclasses.replace(image, window_samples=2048, hop_samples=256, linear_bins=60)
    if category == "hat_closed":
        return dataclasses.replace(image, window_samples=512, linear_bins=24, tonal_below_hz=300.0)
    if category in ("clap", "hat_open", "cymbal"):
        return dataclasses.replace(image, tonal_below_hz=300.0)
    return dataclasses.replace(image, tonal_below_hz=450.0) if category == "snare" else image


def category_image(category: str) -> ImageSettings:
    """The image settings that suit a category, where a pack does not say."""
    return _CATEGORY_IMAGES.get(category, ImageSettings())


@dataclass(frozen=True)
class Training:
    """How a model is trained."""

    architecture: str = "body-gan"  # or 'stereo-dcgan'
    start_from: str = (
        "bundled"  # the category's bundled model, where it draws alike; 'nothing', or a model's name
    )
    batch: int = 16  # sounds a step
    steps: int = 8000  # at most, unless --steps or --minutes say otherwise
    generator_rate: float | None = None  # Adam's learning rate; None: what suits the architecture
    discriminator_rate: float = 4e-4
    beta_1: float = 0.5  # Adam's momentum, both networks
    beta_2: float = 0.99
    ema_steps: int = 500  # the averaged generator's memory (1/e)
    label_smoothing: float = 0.1  # real sounds are labelled 1 - this
    gradient_penalty: float = 0.0  # weight; of the discriminator, at real sounds (R1) and generated ones (R2)
    attention: bool = True  # in the discriminator
    feature_matching: float = 5.0  # weight; batch means of the discriminator's features
    reconstruction: float = 40.0  # weight of encoding and decoding again (body-gan)
    divergence: float = 0.01  # weight of the codes' divergence from a normal distribution (body-gan)
    noisiness: float = 0.05  # weight that draws cells to the usual share of noise (body-gan)
    game: float = 0.2  # weight of the discriminator's verdict (body-gan)
    game_from_step: int = 250  # (body-gan)
    game_every_steps: int = 2  # (body-gan)
    code_dim: int = 64  # numbers that describe a sound (body-gan)
    principal_components: int = 64  # images, of whose sum convolutions draw the details (body-gan)
    principal_steps: int = 2000  # that learn their amounts, before the first; 0: go without them (body-gan)
    aside: float = 0.8  # how far from the way between two sounds new ones are drawn (body-gan)
    along: float = 1.0  # how far along that way, at most: 0 to 1 (body-gan)
    residual_components: int = 64  # images of what the decoder leaves out; 0: new sounds lack it (body-gan)
    encoder_width: int = 16  # channels at half resolution (body-gan)
    centroid: float = 1.0  # weight; spectral centroid per frame, batch statistics (stereo-dcgan)
    decay: float = 1.0  # weight; level per frame, batch statistics (stereo-dcgan)
    periodicity: float = 1.0  # weight; autocorrelation of the envelope's ripple (stereo-dcgan)
    rolloff: float = 0.0  # weight; off: the draft's author found that it makes sounds worse (stereo-dcgan)
    phase_shuffle_frames: int = 0  # off by default (stereo-dcgan)
    latent_dim: int = 100  # (stereo-dcgan)
    generator_width: int = 16  # channels at full resolution
    discriminator_width: int = 24  # channels at half resolution
    validation_share: float = 0.2  # of the kits, held out
    validate_steps: int = 250  # between validations and preview pictures
    patience: int = 16  # validations without a better one, after which training stops
    checkpoint_seconds: float = 30.0  # between checkpoints: what a power cut can cost
    control_sounds: int = 400  # of the model's own, that its controls are learned from in the end; 0: none
    precision: str = "auto"  # of the convolutions: 'float32', 'bfloat16', or what is fast on the machine
    seed: int = 0


@dataclass(frozen=True)
class Pack:
    """One `pack.yaml`: what to train on, and how."""

    category: str
    sources: tuple[Source, ...] = ()
    name: str | None = None  # the model's; the category when left out
    length_seconds: float | None = None  # the category's when left out
    speeds: tuple[float, ...] = (1.0,)  # each sound is also learned at these playback speeds
    image: ImageSettings | None = None  # the category's when left out
    training: Training = field(default_factory=Training)


def load_pack(path: Path) -> Pack:
    """Read `pack.yaml`, or the folder that holds one.

    Raises ConfigError for an unknown key (naming the nearest), a wrong type, or an unknown category.
    """
    file = path / PACK_FILE if path.is_dir() else path
    try:
        if file.stat().st_size > _LARGEST_YAML_BYTES:
            raise ConfigError("this pack definition is over 1 MB", file=file)
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the pack definition: {error}", file=file) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}", file=file) from error
    except RecursionError as error:
        raise ConfigError("this pack definition is nested too deeply", file=file) from error
    if document is None:
        raise ConfigError("this pack definition is empty", file=file, hint="write at least `category: kick`")
    pack = from_document(Pack, document, file=file)
    _check_category(pack.category, file)
    if not pack.sources:
        pack = dataclasses.replace(pack, sources=(Source(synth=pack.category),))
    for source in pack.sources:
        if (source.synth is None) == (source.folder is None):
            raise ConfigError(
                "each source needs either 'synth' or 'folder'",
                file=file,
                hint="for example `- synth: kick` or `- folder: ~/Samples/Kicks`",
            )
        if source.synth is not None:
            _check_category(source.synth, file)
    check_settings(pack, file=file)
    return pack


def _check_category(name: str, file: Path) -> None:
    try:
        category_named(name)
    except ConfigError as error:
        raise ConfigError(error.what, file=file, hint=error.hint) from error


def completed(pack: Pack) -> Pack:
    """The pack with its category's length and image filled in where it does not say."""
    category = category_named(pack.category)
    image = compact_image if pack.training.architecture == "stereo-dcgan" else category_image
    return dataclasses.replace(
        pack,
        length_seconds=pack.length_seconds or category.length_seconds,
        image=pack.image or image(pack.category),
    )


def check_settings(pack: Pack, *, file: Path | None = None) -> None:
    """Raise ConfigError for a value out of range."""
    image, training = pack.image or category_image(pack.category), pack.training
    amounts = (
        "gradient_penalty",
        "feature_matching",
        "reconstruction",
        "divergence",
        "noisiness",
        "game",
        "aside",
        "centroid",
        "decay",
        "periodicity",
        "rolloff",
        "checkpoint_seconds",
    )
    checks = (
        (
            image.name in ("body", "compact", "draft"),
            "image.name must be 'body', 'compact' or 'draft'",
        ),
        (
            image.channels in ("mid-side", "left-right"),
            "image.channels must be 'mid-side' or 'left-right'",
        ),
        (0 <= image.partials <= 8, "image.partials must lie between 0 and 8"),
        (
            50 <= image.highest_partial_hz <= 1600,
            "image.highest_partial_hz must lie between 50 and 1600",
        ),
        (
            32 <= image.bands <= 2048 and image.bands % 16 == 0,
            "image.bands must be a multiple of 16 between 32 and 2048",
        ),
        (
            16 <= image.frames <= 2048 and image.frames % 16 == 0,
            "image.frames must be a multiple of 16 between 16 and 2048",
        ),
        (0 <= image.linear_bins <= image.bands, "image.linear_bins must lie between 0 and image.bands"),
        (0 <= image.dense_frames <= image.frames, "image.dense_frames must lie between 0 and image.frames"),
        (
            image.bands <= image.window_samples // 2,
            "image.bands must not exceed half of image.window_samples",
        ),
        (
            image.window_samples % 2 == 0 and image.window_samples <= 65_536,
            "image.window_samples must be even and at most 65536",
        ),
        (0 <= image.tonal_below_hz <= 22_050, "image.tonal_below_hz must lie between 0 and 22050"),
        (
            0 < image.hop_samples <= image.window_samples // 2,
            "image.hop_samples must be at most half of image.window_samples",
        ),
        (
            pack.length_seconds is None or 0.05 <= pack.length_seconds <= 10.0,
            "length_seconds must lie between 0.05 and 10",
        ),
        (len(pack.speeds) > 0 and all(0.5 <= s <= 2.0 for s in pack.speeds), "speeds must lie in 0.5 … 2"),
        (2 <= training.batch <= 1024, "training.batch must lie between 2 and 1024"),
        (training.steps >= 1, "training.steps must be at least 1"),
        (
            training.generator_rate is None or 0 < training.generator_rate < 1,
            "training.generator_rate must lie between 0 and 1",
        ),
        (0 < training.discriminator_rate < 1, "training.discriminator_rate must lie between 0 and 1"),
        (
            0 <= training.beta_1 < 1 and 0 <= training.beta_2 < 1,
            "training.beta_1 and beta_2 must lie in 0 … 1",
        ),
        (training.ema_steps >= 1, "training.ema_steps must be at least 1"),
        (0 <= training.label_smoothing < 0.5, "training.label_smoothing must lie between 0 and 0.5"),
        (0 < training.validation_share < 1, "training.validation_share must lie between 0 and 1"),
        *(
            (getattr(training, key) >= 1, f"training.{key} must be at least 1")
            for key in ("validate_steps", "patience")
        ),
        (
            training.control_sounds == 0 or 48 <= training.control_sounds <= 100_000,
            "training.control_sounds must be 0, or lie between 48 and 100000",
        ),
        (
            0 <= training.residual_components <= 1024,
            "training.residual_components must lie between 0 and 1024",
        ),
        (
            1 <= training.principal_components <= 1024,
            "training.principal_components must lie between 1 and 1024",
        ),
        (training.principal_steps >= 0, "training.principal_steps must be at least 0"),
        (0.0 <= training.along <= 1.0, "training.along must lie between 0 and 1"),
        (training.game_from_step >= 0, "training.game_from_step must be at least 0"),
        (training.game_every_steps >= 1, "training.game_every_steps must be at least 1"),
        *(
            (0 <= getattr(training, key) < float("inf"), f"training.{key} must be a number of at least 0")
            for key in amounts
        ),
        (training.phase_shuffle_frames >= 0, "training.phase_shuffle_frames must be at least 0"),
        (
            training.precision in ("auto", "float32", "bfloat16"),
            "training.precision must be 'auto', 'float32' or 'bfloat16'",
        ),
        *(
            (1 <= getattr(training, key) <= 4096, f"training.{key} must lie between 1 and 4096")
            for key in ("latent_dim", "code_dim")
        ),
        *(
            (1 <= getattr(training, key) <= 512, f"training.{key} must lie between 1 and 512")
            for key in ("generator_width", "discriminator_width", "encoder_width")
        ),
        # The seed and the step share the 64 bits of the generator's seed.
        (0 <= training.seed < 2**31, "the training's seed must lie between 0 and 2147483647"),
        (
            all(1 <= s.count <= 1_000_000 for s in pack.sources),
            "a source's count must lie between 1 and 1000000",
        ),
        (all(1 <= s.repeat <= 1000 for s in pack.sources), "a source's repeat must lie between 1 and 1000"),
    )
    for fine, complaint in checks:
        if not fine:
            raise ConfigError(complaint, file=file)


def to_document(config: Any) -> dict[str, Any]:
    """A frozen configuration as plain JSON types."""
    return dataclasses.asdict(config)


def from_document(kind: type[T], document: Any, *, file: Path | None = None, place: str = "") -> T:
    """Build a dataclass from plain YAML or JSON types, strictly.

    Raises ConfigError for anything that is not a mapping, an unknown or missing key, or a wrong type.
    """
    if not isinstance(document, dict):
        raise ConfigError(f"{place or 'the document'} must be a mapping of keys to values", file=file)
    fields = {entry.name: entry for entry in dataclasses.fields(typing.cast(Any, kind))}
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in document.items():
        where = f"{place}.{key}" if place else str(key)
        if key not in fields:
            raise ConfigError(
                f"unknown key '{where}'",
                file=file,
                hint=did_you_mean(str(key), "known keys", fields),
            )
        values[key] = _converted(hints[key], value, file=file, where=where)
    for name, entry in fields.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"the key '{place}.{name}' is missing".replace("'.", "'"), file=file)
    return kind(**values)


def _converted(hint: Any, value: Any, *, file: Path | None, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in hint.__args__:
            return None
        hint = next(choice for choice in hint.__args__ if choice is not type(None))
    if dataclasses.is_dataclass(hint):
        return from_document(typing.cast(Any, hint), value, file=file, place=where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"'{where}' must be a list", file=file)
        inner = typing.get_args(hint)[0]
        return tuple(_converted(inner, v, file=file, where=f"{where}[{n}]") for n, v in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # YAML 1.1 reads `1e-4` as text and `no` as False: the type is checked, never guessed.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        advice = (
            "write numbers such as 0.0001 or 1.0e-4" if hint is float and isinstance(value, str) else None
        )
        raise ConfigError(
            f"'{where}' must be {_WORDS[hint]}, not {value!r}",
            file=file,
            hint=advice,
        )
    return value


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
