"""`python -m samplegan` is the `samplegan` command."""

from samplegan.cli import main

main()
