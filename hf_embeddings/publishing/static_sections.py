"""The machine-written parts of the card of a static model, each a function from a checkpoint to Markdown."""

from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.figures import evaluation
from hf_embeddings.publishing.sections import title
from hf_embeddings.publishing.tasks import EXAMPLES

TEMPLATE = "STATIC_CARD.md"
TAGS = ["model2vec", "static-embeddings", "sentence-transformers"]
_USE = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{model}")
vectors = model.encode(["{text}", "{other}"])
print(model.similarity(vectors, vectors))
```

```python
from model2vec import StaticModel

vectors = StaticModel.from_pretrained("{model}").encode(["{text}"])
```"""


def summary(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Title and one sentence."""
    made = (checkpoint.origin and checkpoint.origin.made) or "saved"
    tokens, width = checkpoint.shapes["embeddings"]
    return (
        f"# {title(checkpoint, model_id)}\n\n"
        f"A static embedding model, {made}, with hf-embeddings: a table of {tokens:,} tokens, {width} numbers each. "
        "The vector of a text is the mean of the rows of its tokens, so it costs hardly more than tokenizing."
    )


def use(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Snippets that run as they stand."""
    text, other = EXAMPLES.get((checkpoint.language or ["en"])[0], EXAMPLES["en"])
    return _USE.format(model=model_id or "PATH_OR_ID", text=text, other=other.format("..."))


def recipe(checkpoint: Checkpoint, model_id: str | None) -> str:
    """What the table was made from."""
    return checkpoint.origin.description if checkpoint.origin else "Not recorded."


def limits(checkpoint: Checkpoint, model_id: str | None) -> str:
    """What a table cannot do."""
    return (
        "A token has one vector, whatever stands beside it: the order of words, negation and the meaning of a word "
        "with several are lost. Texts of a few words lose least. It repeats the associations of its teacher, the "
        "unfair ones too."
    )


STATIC_SECTIONS = {"summary": summary, "use": use, "recipe": recipe, "evaluation": evaluation, "limits": limits}
