"""Contracts by their interfaces."""
