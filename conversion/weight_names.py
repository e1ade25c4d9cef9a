"""From the names in a file to today's: what wrappers put before all of them, and what older releases called them.

`module.` (DataParallel), `_orig_mod.` (torch.compile), `base_model.model.` (PEFT), `0.auto_model.`
(sentence-transformers) or any other attribute that holds the encoder is found by the one table that every encoder has:
that of its tokens.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.rules import ConversionError


def canonical_names(names: Iterable[str], family: Family) -> dict[str, str]:
    """Map each name of a checkpoint to today's name with the prefix; a checkpoint of the bare encoder has none.

    Raises:
        ConversionError: the checkpoint holds several encoders, or two names that are the same today.
    """
    names = list(names)
    wrapper, is_bare = find_wrapper(names, family)
    around = _shared_start(names, stop=family.prefix)
    result = {}
    for name in names:
        if name.startswith(wrapper):
            today = family.today(name.removeprefix(wrapper))
            result[name] = f"{family.prefix}.{today}" if is_bare else today
        else:
            result[name] = family.today(name.removeprefix(around))
    counts = Counter(result.values())
    if twice := [name for name, today in result.items() if counts[today] > 1]:
        raise ConversionError(f"weights: {' and '.join(twice[:2])} are the same weight; give --drop with one of them")
    return result


def find_wrapper(names: Collection[str], family: Family) -> tuple[str, bool]:
    """Return what stands before all names of the encoder, and whether its own prefix is missing there.

    Raises:
        ConversionError: there are several encoders.
    """
    table = family.token_table
    starts = {name.removesuffix(table) for name in names if name == table or name.endswith(f".{table}")}
    own = f"{family.prefix}."
    wrappers = {
        (start.removesuffix(own), False) if start == own or start.endswith(f".{own}") else (start, True)
        for start in starts
    }
    if len(wrappers) > 1:
        first, second = sorted(starts)[:2]
        raise ConversionError(
            f"weights: {first}{table} and {second}{table} are of two encoders; keep one of them: give --drop "
            f"'{second or first}*'"
        )
    return next(iter(wrappers), ("", not any(name.startswith(own) for name in names)))


def _shared_start(names: Collection[str], *, stop: str) -> str:
    """Return the attributes that all names share at their start, up to the prefix of the family."""
    shared = ""
    while True:
        heads = {name.removeprefix(shared).partition(".")[0] for name in names}
        head = heads.pop() if len(heads) == 1 else stop
        if head == stop or any(name.removeprefix(shared) == head for name in names):
            return shared
        shared = f"{shared}{head}."
