"""Times as seconds since 1970."""

from datetime import datetime, timezone

from dataset_tools.formats.atomic import finite

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "5s": 0.2}  # Yambda counts in steps of 5 s


def seconds(text: str, per_second: float) -> float:
    """A time as a number in units of which a second has `per_second`, or as an ISO date; else ValueError."""
    try:
        float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no time, neither a number nor an ISO date") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return finite(text) / per_second
