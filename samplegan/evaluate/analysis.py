"""What is measured of every single sound, in several processes side by side.

Everything of a sound follows from the sound alone, so that the number of processes changes nothing.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from samplegan.errors import InputError, MachineError, Stopped
from samplegan.evaluate.distributions import (
    LEAST_SPREADS,
    Defects,
    KickTest,
    characteristics,
    defects,
    kick_test,
    standard_deviation,
)
from samplegan.evaluate.embedding import DIMENSION, Embedding
from samplegan.evaluate.memorisation import CopySearch
from samplegan.evaluate.sets import Maker, Sounds
from samplegan.progress import Progress
from samplegan.signals import StopSignal

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

T = TypeVar("T")
_SOUNDS_AT_ONCE = 4
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SILENCE = dict.fromkeys(LEAST_SPREADS, math.nan)


@dataclass(frozen=True)
class Measured:
    """One sound."""

    features: F32  # [DIMENSION]
    characteristics: dict[str, float]  # nan throughout for silence
    copy_distance: float  # to the nearest training sound; nan where not looked for
    flaws: Defects | None  # None where not asked for, and for silence
    kick: KickTest | None


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """A whole set."""

    sounds: Sounds
    features: F32  # [sound, DIMENSION]
    characteristics: list[dict[str, float]]
    copy_distances: F64
    flaws: Defects | None
    kick: KickTest | None

    @property
    def silent(self) -> int:
        """How many of its sounds are silent: those that no characteristic can be said of."""
        return sum(all(map(math.isnan, each.values())) for each in self.characteristics)

    def only(self, indices: Iterable[int]) -> MeasuredSet:
        """The same set with these sounds only, without what was combined of all of them."""
        chosen = list(indices)
        return replace(
            self,
            sounds=self.sounds.only(chosen),
            features=self.features[chosen],
            characteristics=[self.characteristics[index] for index in chosen],
            copy_distances=self.copy_distances[chosen],
            flaws=None,
            kick=None,
        )

    def values(self, name: str) -> F64:
        """One characteristic of every sound, [sound]; nan where a sound does not have it."""
        return np.array([each[name] for each in self.characteristics])


@dataclass(frozen=True, eq=False)
class Measurer:
    """Measures sounds of one length."""

    embedding: Embedding
    search: CopySearch | None  # of the training sounds

    def features(self, maker: Maker) -> F32:
        return self.embedding.features(maker())

    def everything(self, maker: Maker, *, in_detail: bool, copies: bool) -> Measured:
        """`in_detail` looks for flaws and for what makes a kick, `copies` for the nearest training sound, too."""
        audio = maker()
        nearest = self.search.nearest(audio)[0] if copies and self.search is not None else math.nan
        try:
            described = characteristics(audio)
        except InputError:
            return Measured(np.zeros(DIMENSION, np.float32), _SILENCE, nearest, None, None)
        return Measured(
            features=self.embedding.features(audio),
            characteristics=described,
            copy_distance=nearest,
            flaws=defects([audio]) if in_detail else None,
            kick=kick_test([audio]) if in_detail else None,
        )


class Workers:
    """`jobs` processes that measure; with one job it is this process. Use it as a context manager.

    Raises Stopped on Ctrl-C and SIGTERM, between two sounds, and MachineError if a process is killed.
    """

    def __init__(self, measurer: Measurer, jobs: int, stop: StopSignal, progress: Progress) -> None:
        self._measurer = measurer
        self._jobs = jobs
        self._stop = stop
        self._progress = progress
        self._pool: ProcessPoolExecutor | None = None
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        if self._jobs > 1:
            # By a file: a process that dies before it has read a long argument would be waited for forever.
            self._folder = TemporaryDirectory(prefix="samplegan-")
            handed_over = Path(self._folder.name, "measurer")
            handed_over.write_bytes(pickle.dumps(self._measurer))
            self._pool = ProcessPoolExecutor(
                self._jobs,
                # Not forked: a copy of a process with threads can wait forever for one that it does not have.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(handed_over,),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._folder is not None:
            self._folder.cleanup()

    def features(self, sounds: Sounds) -> F32:
        """The features of every sound, [sound, DIMENSION]."""
        return np.stack(self._each(Measurer.features, sounds))

    def measure(self, sounds: Sounds, *, in_detail: bool = False, copies: bool = True) -> MeasuredSet:
        """Every sound of a set."""
        found = self._each(partial(Measurer.everything, in_detail=in_detail, copies=copies), sounds)
        heard = [each for each in found if each.flaws is not None]
        return MeasuredSet(
            sounds=sounds,
            features=np.stack([each.features for each in found]),
            characteristics=[each.characteristics for each in found],
            copy_distances=np.array([each.copy_distance for each in found]),
            flaws=combined_defects([each.flaws for each in heard if each.flaws]) if heard else None,
            kick=_combined_kick_tests(found) if heard else None,
        )

    def _each(self, task: Callable[[Measurer, Maker], T], sounds: Sounds) -> list[T]:
        try:
            with _one_thread_each():
                return list(self._counted(self._results(task, sounds)))
        except BrokenProcessPool as error:
            raise MachineError(
                "a process that measures sounds was ended from outside",
                hint="perhaps there is too little memory: try fewer --jobs",
            ) from error

    def _results(self, task: Callable[[Measurer, Maker], T], sounds: Sounds) -> Iterator[T]:
        if self._pool is None:
            return (task(self._measurer, maker) for maker in sounds.makers)
        return self._pool.map(partial(_work, task), sounds.makers, chunksize=_SOUNDS_AT_ONCE)

    def _counted(self, results: Iterator[T]) -> Iterator[T]:
        for result in results:
            yield result
            self._progress.advance()
            if self._stop.number is not None:
                raise Stopped(
                    "stopped; nothing was written",
                    signal_number=self._stop.number,
                    hint="the same command starts again",
                )


def combined_defects(found: Sequence[Defects]) -> Defects:
    """Those of many sounds from those of each: shares are means, levels medians."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in found]))

    def median(name: str) -> float:
        return float(np.median([getattr(each, name) for each in found]))

    return Defects(
        **{name: mean(name) for name in ("pre_echo", "clicks", "dc", "clipping")},
        **{name: median(name) for name in ("noise_floor_db", "air_db", "mono_loss_db")},
        noise_floor_above_real_db=None,
        air_above_real_db=None,
    )


def _combined_kick_tests(found: Sequence[Measured]) -> KickTest:
    """That of many sounds from that of each; silence is no kick."""

    def share(name: str) -> float:
        return float(np.mean([getattr(each.kick, name) if each.kick else 0.0 for each in found]))

    def values(name: str) -> F64:
        return np.array([each.characteristics[name] for each in found])

    return KickTest(
        **{
            name: share(name)
            for name in ("broadband_transient", "decaying_fundamental", "falling_centroid", "all_three")
        },
        decay_spread_s=standard_deviation(2.0 ** values("decay_20_log2_s")),
        pitch_spread_log2_hz=standard_deviation(values("pitch_log2_hz")),
    )


# --- in a process of its own

_measurer: Measurer


def _start(handed_over: Path) -> None:
    global _measurer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the first process ends the others
    _measurer = pickle.loads(handed_over.read_bytes())


def _work(task: Callable[[Measurer, Maker], T], maker: Maker) -> T:
    return task(_measurer, maker)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Neither this process nor those that start inside this block multiply matrices on several threads: on some
    processors their sums are rounded differently then, and one process would measure what two do not."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
