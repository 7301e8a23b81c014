"""dver: versions data and models beside code, the way git versions code."""

from __future__ import annotations

__version__ = "0.1.0"
