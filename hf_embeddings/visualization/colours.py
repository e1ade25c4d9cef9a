"""The colours of all pictures: told apart with any kind of colour vision, on paper too (Okabe and Ito 2008)."""

SERIES = ("#0072b2", "#c65400", "#00845e", "#a3478a", "#d99000", "#56b4e9", "#5b6675")
STRIKING = "#c65400"  # of what stands out beside grey


def series(index: int) -> str:
    """Return the colour of a series by its number; after the last, the first comes again."""
    return SERIES[index % len(SERIES)]
