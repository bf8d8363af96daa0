"""Distributed training toolkit for liquid-argon neutrino experiments."""

__version__ = "0.1.0"
