"""Training a tokenizer on the corpus: WordPiece, Unigram or BPE, with Chinese characters and punctuation as words."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_embeddings.corpora.chinese import RUST_CLASS
from hf_embeddings.corpora.corpus import tokenizer_sample
from hf_embeddings.corpora.long_words import LONGEST_WORD, cut_long_words
from hf_embeddings.corpora.options import CorpusOptions, TokenizerOptions
from hf_embeddings.progress import Phases, quiet

Algorithm = Literal["wordpiece", "unigram", "bpe"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0..4
NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
WORD_START = "▁"  # before each word, and not before punctuation and Chinese characters, which are words by themselves
_LETTER = rf"[^\s\p{{P}}$+<=>^`|~{WORD_START}{RUST_CLASS}]"  # whatever BertPreTokenizer leaves in one piece


class Alphabet(NamedTuple):
    """The characters that a vocabulary holds."""

    initial: list[str]
    continuing: list[str]  # those that go on within a word, as "##x"


def train_tokenizer(
    documents: Iterable[str],
    *,
    algorithm: Algorithm = "wordpiece",
    vocab_size: int,
    lowercase: bool,
    min_frequency: int,
    max_length: int,
) -> PreTrainedTokenizerBase:
    """Train a tokenizer; the same documents give the same vocabulary, in any order of them.

    Args:
        documents: texts in any mixture of languages.
        algorithm: a name in ALGORITHMS.
        vocab_size: pieces, special ones included; fewer where the documents have no more to give.
        lowercase: fold case, and strip accents, before tokenizing.
        min_frequency: occurrences that a character, and a pair of pieces that is merged, need.
        max_length: `model_max_length` of the tokenizer.
    """
    documents, _ = cut_long_words(list(documents))
    return ALGORITHMS[algorithm](documents, vocab_size, lowercase, min_frequency, max_length)


def train_for(
    settings: TokenizerOptions,
    corpus: CorpusOptions,
    sources: Iterable[Iterable[str]],
    *,
    max_length: int,
    say: Callable[[str], None] = lambda line: None,
    phases: Phases = quiet,
) -> PreTrainedTokenizerBase:
    """Train the tokenizer of a run on a sample of its sources, each the texts of its documents.

    Args:
        settings: of the tokenizer.
        corpus: says which share of the documents is held out, and not trained on.
        sources: the texts of each source.
        max_length: `model_max_length` of the tokenizer.
        say: told of the sample.
        phases: makes what shows how far it is.
    """
    limit, fraction = settings.training_characters, corpus.evaluation_fraction
    with phases("reading for the tokenizer", unit="documents") as phase:
        sample = []
        for document in tokenizer_sample(sources, characters=limit, fraction=fraction):
            sample.append(document)
            phase.advance()
    characters = sum(map(len, sample))
    say(
        f"training a {settings.algorithm} tokenizer of up to {settings.vocab_size:,} pieces on {characters:,} "
        f"characters of {len(sample):,} documents"
    )
    if left_out := cut_long_words(sample)[1]:
        say(f"{left_out:,} letters of words of more than {LONGEST_WORD:,} letters are not trained on")
    with phases("tokenizer training"):  # one call of a library, which does not say how far it is
        return train_tokenizer(
            sample,
            algorithm=settings.algorithm,
            vocab_size=settings.vocab_size,
            lowercase=settings.lowercase,
            min_frequency=settings.min_frequency,
            max_length=max_length,
        )


def _wordpiece(documents: list[str], size: int, lowercase: bool, frequency: int, length: int) -> BertTokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    initial, continuing = _alphabet(documents, tokenizer, min_frequency=frequency, limit=size // 2)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=frequency,
        # The trainer numbers "##a", "##b", ... as it meets them in a randomly seeded hash map, and breaks ties between
        # equally frequent pairs by number: pieces differ from run to run. Listed here, they have fixed numbers.
        special_tokens=[*SPECIAL_TOKENS, *initial, *continuing],
        initial_alphabet=initial,
        limit_alphabet=len(initial),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return BertTokenizer(vocab=dict(pieces), do_lower_case=lowercase, model_max_length=length)


def _bpe(documents: list[str], size: int, lowercase: bool, frequency: int, length: int) -> PreTrainedTokenizerFast:
    tokenizer = _with_word_starts(models.BPE(unk_token="[UNK]"), lowercase=lowercase)
    initial = _alphabet(documents, tokenizer, min_frequency=frequency, limit=size).initial[: size // 2]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=initial,
        limit_alphabet=len(initial),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    return _finished(tokenizer, length)


def _unigram(documents: list[str], size: int, lowercase: bool, frequency: int, length: int) -> PreTrainedTokenizerFast:
    tokenizer = _with_word_starts(models.Unigram(), lowercase=lowercase)
    # The trainer keeps every character that it meets, and fails where they are more than the vocabulary.
    kept = set(_alphabet(documents, tokenizer, min_frequency=frequency, limit=size).initial[: size // 2])
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=list(SPECIAL_TOKENS), unk_token="[UNK]", show_progress=False
    )
    normalizer = Tokenizer.from_str(tokenizer.to_str()).normalizer  # the tokenizer's own is locked while it is trained
    tokenizer.train_from_iterator(_only(kept, documents, normalizer), trainer, length=len(documents))
    # The scores are sums over a randomly seeded hash map: their last digits, and so the order, differ from run to run.
    # Characters that the training left out are put back in the map's order, each 0.0001 above the one before.
    content = json.loads(tokenizer.to_str())
    pieces = {piece: score for piece, score in content["model"]["vocab"] if piece not in SPECIAL_TOKENS}
    lowest = min(pieces.values(), default=0.0)
    put_back = {p for p, score in pieces.items() if len(p) == 1 and score <= lowest + 0.0001 * len(kept)}
    scores = {piece: round(lowest if piece in put_back else score, 5) for piece, score in pieces.items()}
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    ordinary = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    content["model"] |= {"vocab": special + ordinary, "unk_id": SPECIAL_TOKENS.index("[UNK]")}
    return _finished(Tokenizer.from_str(json.dumps(content)), length)


ALGORITHMS: dict[str, Callable[[list[str], int, bool, int, int], PreTrainedTokenizerBase]] = {
    "wordpiece": _wordpiece,
    "unigram": _unigram,
    "bpe": _bpe,
}


def _with_word_starts(model: models.Model, *, lowercase: bool) -> Tokenizer:
    """Return a tokenizer that splits as BERT's does and marks the start of each word, so that text can be decoded."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(WORD_START, " "),
            normalizers.BertNormalizer(lowercase=lowercase),  # puts spaces around Chinese characters
            normalizers.Replace(Regex(f"(?<!{_LETTER})(?={_LETTER})"), WORD_START),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(WORD_START, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _finished(tokenizer: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", SPECIAL_TOKENS.index("[CLS]")), ("[SEP]", SPECIAL_TOKENS.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **NAMES,
    )


def _alphabet(documents: Iterable[str], tokenizer: Tokenizer, *, min_frequency: int, limit: int) -> Alphabet:
    """Return the characters that the vocabulary holds, the most frequent ones whose pieces fit in `limit`.

    Thousands of Chinese characters must leave room for words.
    """
    written: Counter[str] = Counter()
    for document in documents:
        written.update(document)
    counts: Counter[str] = Counter()
    for character, count in written.items():
        for normalized in tokenizer.normalizer.normalize_str(character):
            if not normalized.isspace():
                counts[normalized] += count
    initial: list[str] = []
    continuing: list[str] = []
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count < min_frequency or len(initial) + len(continuing) + 2 > limit:
            break
        initial.append(character)
        word = tokenizer.normalizer.normalize_str(f"a{character}")
        if len(tokenizer.pre_tokenizer.pre_tokenize_str(word)) == 1:  # neither punctuation nor Chinese
            continuing.append(f"##{character}")
    return Alphabet(sorted(initial), sorted(continuing))


def _only(kept: set[str], documents: Iterable[str], normalizer: normalizers.Normalizer) -> Iterator[str]:
    for document in documents:
        normalized = normalizer.normalize_str(document)
        yield "".join(character if character in kept else " " for character in normalized)
