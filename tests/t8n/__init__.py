"""Comparison of `solder t8n` with the specification's own transition tool."""
