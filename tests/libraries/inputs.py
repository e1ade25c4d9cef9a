"""What every use of a library starts from: texts, a loaded model, three steps of training, a comparison of outputs.

Imported by path in environments that know nothing of this package, so it imports torch and transformers only.
"""

import torch
import transformers

TEXTS = [
    "the answer is on the next page .",
    "today is the answer .",
    "the page is on the answer .",
    "the next page is on the next page today .",
]
LABELS = [0, 1, 0, 1]


class NotOffered(Exception):
    """The library has no way to do this, whatever the model."""


def load(auto_class: str, folder: str, trust: bool, **options):
    """Return a model of a checkpoint, in evaluation mode; what its head begins with is always the same."""
    torch.manual_seed(0)
    return getattr(transformers, auto_class).from_pretrained(folder, trust_remote_code=trust, **options).eval()


def classifier(folder: str, trust: bool):
    return load("AutoModelForSequenceClassification", folder, trust)


def tokenizer_of(folder: str, trust: bool):
    return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)


def batch(folder: str, trust: bool) -> dict[str, torch.Tensor]:
    """Return four texts, padded, without labels."""
    return dict(tokenizer_of(folder, trust)(TEXTS, padding=True, return_tensors="pt"))


def train(model, inputs: dict[str, torch.Tensor], optimizer=None) -> None:
    """Take three steps, and assert that they lower the loss."""
    torch.manual_seed(0)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optimizer or torch.optim.AdamW(parameters, lr=1e-2)
    losses = []
    for _ in range(3):
        loss = model(**inputs, labels=torch.tensor(LABELS)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0], f"three steps did not lower the loss: {losses}"


def logits(model, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**inputs).logits


def hidden(model, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**inputs).last_hidden_state


def same(found, expected, limit: float = 1e-5) -> str:
    """Assert that two arrays are equal up to a limit, and return their largest difference in words."""
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    difference = (found.float() - expected.float()).abs().max().item()
    assert difference <= limit, f"outputs differ by {difference:.2g}, more than {limit:g}"
    return f"difference {difference:.1g}"


def close(found: torch.Tensor, exact: torch.Tensor, limit: float = 0.99) -> str:
    """Assert that hidden states of int8 weights point where those of fp32 do; return the smallest cosine."""
    cosine = torch.nn.functional.cosine_similarity(found.float(), exact.float(), dim=-1).min().item()
    assert cosine >= limit, f"cosine {cosine:.3f} to the outputs in fp32, below {limit:g}"
    assert not torch.equal(found, exact), "nothing was quantized"
    return f"cosine {cosine:.4f}"
