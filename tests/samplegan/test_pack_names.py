import dataclasses
import re

import numpy as np
import pytest

from samplegan.categories import CATEGORIES
from samplegan.descriptors import Descriptors, describe
from samplegan.finishing import finish
from samplegan.pack.names import (
    AXES,
    CERTAIN_PITCH,
    ORDINARY,
    PITCH_CLASSES,
    Axis,
    file_name,
    key_of,
    name_words,
    slug,
)

SAMPLE_RATE = 44_100


def tone(hz=50.0, decay=0.1, seconds=0.5):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    body = np.sin(2 * np.pi * hz * time) * np.exp(-time / decay)
    return np.stack([body, body]).astype(np.float32)


@pytest.fixture(scope="module")
def plain() -> Descriptors:
    return describe(finish(tone()).audio)


def ordinary(plain, category):
    """A sound in the middle of every axis of its category."""
    middle = {axis.descriptor: (axis.low + axis.high) / 2 for axis in AXES[category]}
    return dataclasses.replace(plain, **middle)


def test_every_category_has_axes_and_every_axis_a_descriptor():
    fields = {field.name for field in dataclasses.fields(Descriptors)}
    assert set(AXES) == set(CATEGORIES)
    for axes in AXES.values():
        for axis in axes:
            assert axis.descriptor in fields
            assert axis.low < axis.high
            assert not axis.logarithmic or axis.low > 0


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_word_appears_at_its_threshold_and_not_before(plain, category):
    middle = ordinary(plain, category)
    assert name_words(category, middle) == [ORDINARY]
    for axis in AXES[category]:
        sign = 1e-6 * max(abs(axis.low), abs(axis.high))
        for word, beyond, before in (
            (axis.low_word, axis.low - sign, axis.low + sign),
            (axis.high_word, axis.high + sign, axis.high - sign),
        ):
            expected = [ORDINARY] if word is None else [word]
            if axis.logarithmic:
                beyond = max(beyond, axis.low * 0.999) if word == axis.low_word else beyond
            assert name_words(category, dataclasses.replace(middle, **{axis.descriptor: beyond})) == expected
            assert name_words(category, dataclasses.replace(middle, **{axis.descriptor: before})) == [
                ORDINARY
            ]


def test_the_two_most_telling_words_win_in_the_order_of_the_axes(plain):
    sound = dataclasses.replace(
        ordinary(plain, "kick"), decay_40_db_s=0.41, attack_centroid_hz=200.0, crest_db=20.0
    )
    assert name_words("kick", sound) == ["dark", "punchy"]


def test_words_are_plain_and_distinct_within_a_category():
    for axes in AXES.values():
        words = [word for axis in axes for word in (axis.low_word, axis.high_word) if word]
        assert len(words) == len(set(words))
        assert all(re.fullmatch("[a-z]+", word) for word in words)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_was_not_measured_earns_nothing(value):
    assert Axis("width_db", "narrow", 1.0, "wide", 2.0).word(value) is None


def test_a_key_needs_a_certain_pitch(plain):
    certain = dataclasses.replace(plain, note="A#", pitch_confidence=CERTAIN_PITCH)
    doubtful = dataclasses.replace(certain, pitch_confidence=CERTAIN_PITCH - 0.01)
    assert key_of("kick", certain) == "A#"
    assert key_of("kick", doubtful) is None
    assert key_of("hat_closed", certain) is None
    assert key_of("kick", dataclasses.replace(certain, note=None)) is None


def test_the_key_is_the_one_that_sounds():
    assert key_of("kick", describe(finish(tone(55.0)).audio)) == "A"
    assert key_of("tom", describe(finish(tone(92.5)).audio)) == "F#"


def test_pitch_words_need_a_certain_pitch(plain):
    deep = dataclasses.replace(ordinary(plain, "kick"), pitch_hz=35.0, pitch_confidence=0.95)
    assert name_words("kick", deep) == ["deep"]
    assert name_words("kick", dataclasses.replace(deep, pitch_confidence=0.3)) == [ORDINARY]


def test_names_have_the_documented_form(plain):
    sound = dataclasses.replace(plain, note="F", pitch_confidence=0.99)
    name = file_name("kick", sound, 17, "wav")
    assert re.fullmatch(r"kick(_[a-z]+){1,2}_F_017\.wav", name)


def test_names_are_unique_and_safe_everywhere(plain):
    random = np.random.default_rng(0)
    names = set()
    for index in range(1, 1201):
        changes = {
            axis.descriptor: axis.low + float(random.uniform(-0.4, 1.4)) * (axis.high - axis.low)
            for axis in AXES["snare"]
        }
        note = PITCH_CLASSES[index % 12]
        sound = dataclasses.replace(plain, **changes, note=note, pitch_confidence=float(random.random()))
        names.add(file_name("snare", sound, index, "flac"))
    assert len({name.casefold() for name in names}) == 1200
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_#-]+\.flac", name) and len(name) < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [("808 Kick", "808_Kick"), ("a/b\\c", "a_b_c"), ("$x//y", "x_y"), ("…", "sound"), ("", "sound")],
)
def test_slugs(text, expected):
    assert slug(text) == expected


def test_an_unknown_category_still_gets_a_name(plain):
    assert file_name("cowbell", plain, 1, "wav").startswith("cowbell_")
