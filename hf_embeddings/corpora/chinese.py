"""Chinese characters, as BERT's normalizer has them (tokenizers, `is_chinese_char`; no kana, no hangul)."""

RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))  # first and last
CLASS = "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in RANGES)  # inside the brackets of a Python pattern
RUST_CLASS = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in RANGES)  # of a pattern of tokenizers
