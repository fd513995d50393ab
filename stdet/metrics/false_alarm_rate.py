"""False alarms per hour, with the interval that so few or so many of them leave open."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import chi2

_TAIL = 0.025
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class HourlyRate:
    """Events per hour; all NaN where the frame rate is not known.

    Attributes:
        rate: Events / hours watched.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
    """

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, num_events: int, *, seconds: float) -> HourlyRate:
        """Return the rate of independent events.

        Args:
            num_events: Counted.
            seconds: Watched; NaN or 0 where the frame rate is not known.

        Source:
            Garwood 1936, the exact interval of a Poisson count.

        Example:
            >>> round(HourlyRate.of(0, seconds=3600).high, 3)
            3.689
        """
        hours = seconds / SECONDS_PER_HOUR
        if not hours > 0:
            return cls(rate=float("nan"), low=float("nan"), high=float("nan"))
        low = float(chi2.ppf(_TAIL, 2 * num_events)) / 2 if num_events else 0.0
        high = float(chi2.ppf(1 - _TAIL, 2 * num_events + 2)) / 2
        return cls(rate=num_events / hours, low=low / hours, high=high / hours)
