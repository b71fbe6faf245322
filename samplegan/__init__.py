"""samplegan: a batch drum-sample-pack generator."""

__version__ = "0.1.0"
