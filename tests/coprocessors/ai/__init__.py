"""Tests of models as integer graphs; ``generator`` and ``parity`` are also run by hand (``python -m``)."""
