"""Fixtures of the security tests."""

from __future__ import annotations

import tests.support.hypothesis_profile  # noqa: F401 - how many examples
from tests.security.canary import secrets_everywhere

__all__ = ["secrets_everywhere"]
