"""Phase for magnitudes: a start, then iterations that make spectra consistent."""

from dsp.phase.loops import energy_mask, griffin_lim, raar
from dsp.phase.starts import HANN_GAMMA, fit_gamma, pghi, window_gamma

__all__ = ["HANN_GAMMA", "energy_mask", "fit_gamma", "griffin_lim", "pghi", "raar", "window_gamma"]
