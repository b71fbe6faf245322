"""Phase for magnitudes: a start, then iterations that make spectra consistent."""

from dsp.phase.loops import energy_mask, griffin_lim, raar
from dsp.phase.low_band import low_band_start
from dsp.phase.reconstruction import METHODS, STARTS, STEREO, reconstruct
from dsp.phase.starts import HANN_GAMMA, fit_gamma, gamma_of, pghi, window_gamma

__all__ = [
    "HANN_GAMMA",
    "METHODS",
    "STARTS",
    "STEREO",
    "energy_mask",
    "fit_gamma",
    "gamma_of",
    "griffin_lim",
    "low_band_start",
    "pghi",
    "raar",
    "reconstruct",
    "window_gamma",
]
