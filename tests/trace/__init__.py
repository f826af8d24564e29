"""Traces: against go-ethereum, by invariants, by named programs."""
