"""Training a tokenizer on the corpus: of subwords, of bytes, or of characters and k-mers."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_embeddings.corpora.character_tokens import kmer_splitter, kmers
from hf_embeddings.corpora.corpus import tokenizer_sample
from hf_embeddings.corpora.long_words import LONGEST_TRAINED, cut_long_words
from hf_embeddings.corpora.normalization import (
    JOINERS,
    LONGEST_WORD,
    WORD_START,
    Alphabet,
    alphabet,
    byte_level_normalizer,
    normalizer,
    pre_tokenizer,
)
from hf_embeddings.corpora.options import SPECIAL_TOKENS, Algorithm, CorpusOptions, TokenizerOptions
from hf_embeddings.corpora.tokenizer import TokenizerError
from hf_embeddings.progress import Phases, silent_phase

NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))


class Material(NamedTuple):
    """What the trainer of an algorithm works on."""

    documents: list[str]
    normalizer: normalizers.Normalizer
    splitter: pre_tokenizers.PreTokenizer  # into words
    letters: Alphabet
    kmer_length: int  # letters of a token of "characters"
    vocab_size: int
    min_frequency: int


def train_tokenizer(
    documents: Iterable[str],
    *,
    algorithm: Algorithm = "wordpiece",
    vocab_size: int,
    lowercase: bool,
    strip_accents: bool = False,
    turkish_case: bool = False,
    kmer_length: int = 1,
    min_frequency: int,
    max_length: int,
) -> PreTrainedTokenizerBase:
    """Train a tokenizer; the same documents give the same vocabulary, in any order of them.

    Args:
        documents: texts in any mixture of languages.
        algorithm: a name in ALGORITHMS.
        vocab_size: pieces, special ones included; fewer where the documents have no more to give.
        lowercase: fold case before tokenizing.
        strip_accents: remove accents and all other marks before tokenizing, as uncased BERT does.
        turkish_case: fold I to ı and İ to i, if case is folded.
        kmer_length: letters of a token, of "characters".
        min_frequency: occurrences that a character, a k-mer, and a pair of pieces that is merged, need.
        max_length: `model_max_length` of the tokenizer.
    """
    if algorithm == "byte-level":
        normal = byte_level_normalizer(lowercase=lowercase, strip_accents=strip_accents, turkish_case=turkish_case)
        return _finished(_byte_level(list(documents), normal, vocab_size, min_frequency), max_length)
    splitter = kmer_splitter(kmer_length) if kmer_length > 1 else pre_tokenizer()
    documents = list(documents) if algorithm == "characters" else cut_long_words(list(documents))[0]
    make_normalizer = partial(
        normalizer,
        lowercase=lowercase,
        strip_accents=strip_accents,
        turkish_case=turkish_case,
        word_starts=algorithm != "wordpiece",
    )
    letters = alphabet(
        documents,
        make_normalizer(),
        splitter,
        min_frequency=min_frequency,
        size=vocab_size - len(SPECIAL_TOKENS),
        forms=2 if algorithm == "wordpiece" else 1,
    )
    # A joiner that the vocabulary does not hold would make a word unknown.
    normal = make_normalizer(removed=sorted(set(JOINERS) - set(letters.initial)))
    material = Material(documents, normal, splitter, letters, kmer_length, vocab_size, min_frequency)
    tokenizer = ALGORITHMS[algorithm](material)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normal, splitter
    return _finished(tokenizer, max_length)


def train_for(
    settings: TokenizerOptions,
    corpus: CorpusOptions,
    sources: Iterable[Iterable[str]],
    *,
    max_length: int,
    say: Callable[[str], None] = lambda line: None,
    phases: Phases = silent_phase,
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
    if not characters:
        raise TokenizerError(
            f"tokenizer: got no document to train it on beside those held out (evaluation_fraction {fraction:g}), "
            "expected some; lower the fraction, or give a tokenizer as tokenizer.path"
        )
    say(
        f"training a {settings.algorithm} tokenizer of up to {settings.vocab_size:,} pieces on {characters:,} "
        f"characters of {len(sample):,} documents"
    )
    if settings.algorithm in SUBWORDS and (left_out := cut_long_words(sample)[1]):
        say(f"{left_out:,} letters of words of more than {LONGEST_TRAINED:,} letters are not trained on")
    if settings.lowercase and not settings.turkish_case and is_turkish(sample):
        say(
            "the text has the letter ı, as Turkish and Azerbaijani have: tokenizer.turkish_case=true folds I to ı and "
            "İ to i, rather than I to i"
        )
    with phases("tokenizer training"):  # one call of a library, which does not say how far it is
        return train_tokenizer(
            sample,
            algorithm=settings.algorithm,
            vocab_size=settings.vocab_size,
            lowercase=settings.lowercase,
            strip_accents=settings.strip_accents,
            turkish_case=settings.turkish_case,
            kmer_length=settings.kmer_length,
            min_frequency=settings.min_frequency,
            max_length=max_length,
        )


def is_turkish(documents: Iterable[str]) -> bool:
    """Tell whether a text has both ı and İ about as often as Turkish and Azerbaijani have them."""
    counts = [(document.count("ı"), document.count("İ"), len(document)) for document in documents]
    dotless, dotted, characters = map(sum, zip(*counts, strict=True)) if counts else (0, 0, 0)
    return dotted > 0 and dotless > 0.005 * characters


def _wordpiece(material: Material) -> Tokenizer:
    letters = material.letters
    trainer = trainers.WordPieceTrainer(
        vocab_size=material.vocab_size,
        min_frequency=material.min_frequency,
        # The trainer numbers "##a", "##b", ... as it meets them in a randomly seeded hash map, and breaks ties between
        # equally frequent pairs by number: pieces differ from run to run. Listed here, they have fixed numbers.
        special_tokens=[*SPECIAL_TOKENS, *letters.initial, *letters.continuing],
        initial_alphabet=letters.initial,
        limit_alphabet=len(letters.initial),
        show_progress=False,
    )
    raw_tokenizer = _trained(models.WordPiece(unk_token="[UNK]"), material, trainer)
    pieces = dict(sorted(raw_tokenizer.get_vocab().items(), key=lambda item: item[1]))
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD))
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _bpe(material: Material) -> Tokenizer:
    letters = material.letters
    trainer = trainers.BpeTrainer(
        vocab_size=material.vocab_size,
        min_frequency=material.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=letters.initial,
        limit_alphabet=len(letters.initial),
        show_progress=False,
    )
    return _with_word_starts(_trained(models.BPE(unk_token="[UNK]"), material, trainer))


def _unigram(material: Material) -> Tokenizer:
    # The trainer keeps every character that it meets, and fails where they are more than the vocabulary.
    alphabet = set(material.letters.initial)
    trainer = trainers.UnigramTrainer(
        vocab_size=material.vocab_size, special_tokens=list(SPECIAL_TOKENS), unk_token="[UNK]", show_progress=False
    )
    texts = list(_only(alphabet, material.documents, material.normalizer))
    # The scores are sums over a randomly seeded hash map: their last digits, and so the order, differ from run to run.
    # Characters that the training left out are put back in the map's order, each 0.0001 above the one before.
    content = json.loads(_trained(models.Unigram(), material._replace(documents=texts), trainer).to_str())
    pieces = {piece: score for piece, score in content["model"]["vocab"] if piece not in SPECIAL_TOKENS}
    lowest = min(pieces.values(), default=0.0)
    put_back = {p for p, score in pieces.items() if len(p) == 1 and score <= lowest + 0.0001 * len(alphabet)}
    scores = {piece: round(lowest if piece in put_back else score, 5) for piece, score in pieces.items()}
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    ordinary = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    content["model"] |= {"vocab": special + ordinary, "unk_id": SPECIAL_TOKENS.index("[UNK]")}
    return _with_word_starts(Tokenizer.from_str(json.dumps(content)))


def _characters(material: Material) -> Tokenizer:
    """Make a tokenizer of k-mers, and of letters where a k-mer is not known: a BPE that never merges."""
    pieces = [*SPECIAL_TOKENS, *material.letters.initial]
    if material.kmer_length > 1:
        pieces += kmers(
            material.documents,
            material.normalizer,
            material.splitter,
            length=material.kmer_length,
            min_frequency=material.min_frequency,
        )
    vocabulary = {piece: number for number, piece in enumerate(pieces[: material.vocab_size])}
    return _with_word_starts(Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]", ignore_merges=True)))


def _byte_level(documents: list[str], normal: normalizers.Normalizer, size: int, frequency: int) -> Tokenizer:
    """Train a BPE of bytes, as RoBERTa's: nothing is unknown, and white space and indentation are kept."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normal, pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    return tokenizer


SUBWORDS: dict[str, Callable[[Material], Tokenizer]] = {"wordpiece": _wordpiece, "unigram": _unigram, "bpe": _bpe}
ALGORITHMS = SUBWORDS | {"characters": _characters}


def _trained(model: models.Model, material: Material, trainer: trainers.Trainer) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = material.normalizer, material.splitter
    tokenizer.train_from_iterator(material.documents, trainer, length=len(material.documents))
    return tokenizer


def _with_word_starts(tokenizer: Tokenizer) -> Tokenizer:
    """Let a tokenizer whose words begin with WORD_START decode text."""
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


def _only(alphabet: set[str], documents: Iterable[str], normal: normalizers.Normalizer) -> Iterator[str]:
    for document in documents:
        text = normal.normalize_str(document)
        yield "".join(character if character in alphabet else " " for character in text)
