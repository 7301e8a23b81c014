"""Property tests run here."""

from __future__ import annotations

import tests.support.hypothesis_profile  # noqa: F401 - importing it sets the profile
