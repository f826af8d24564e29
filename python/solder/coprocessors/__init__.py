"""Coprocessors: heavy, structured work on something built for it, each with a plain reference that it must equal."""
