"""A share of a sample, and how far the truth may be from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964  # 95 %, both sides


@dataclass(frozen=True)
class Share:
    """`hits` of `of`. The interval is Wilson's (1927): it stays within 0 and 1 and holds for few rows."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float | None:
        return self._bounds()[0] if self.of else None

    @property
    def high(self) -> float | None:
        return self._bounds()[1] if self.of else None

    def _bounds(self) -> tuple[float, float]:
        share, square = self.hits / self.of, Z * Z
        middle = share + square / (2 * self.of)
        reach = Z * math.sqrt(share * (1 - share) / self.of + square / (4 * self.of**2))
        whole = 1 + square / self.of
        return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)
