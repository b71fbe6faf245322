"""The CPU core: planned FFTs, dB images, phase reconstruction, loudness and pitch. Arrays in, arrays out.

Knows nothing of torch, files or commands.
"""
