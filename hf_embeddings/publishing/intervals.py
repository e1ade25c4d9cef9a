"""95 % intervals of the figures that a card states."""

import math

Z = 1.959964  # of the normal distribution, two-sided 95 %


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's interval (https://doi.org/10.1080/01621459.1927.10502953) of a share of `count` samples."""
    centre, width = share + Z**2 / (2 * count), Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


def correlation_interval(spearman: float, count: int) -> tuple[float, float]:
    """Return the interval of Spearman's rho over `count` pairs (https://doi.org/10.1007/BF02294183)."""
    if count <= 3 or abs(spearman) >= 1:
        return (-1.0, 1.0) if count <= 3 else (spearman, spearman)
    middle, width = math.atanh(spearman), Z * math.sqrt((1 + spearman**2 / 2) / (count - 3))
    return math.tanh(middle - width), math.tanh(middle + width)
