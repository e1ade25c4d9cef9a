"""What each saved class is for: its task on the Hub, and a snippet that uses it."""

from typing import NamedTuple


class Task(NamedTuple):
    """A task of the Hub and the Python that does it; MODEL, TEXT and MASKED are filled in by the card."""

    pipeline_tag: str
    snippet: str
    counts_tokens: bool = False  # a metric is a share of tokens, of which those of a text are alike


FILL_MASK = """
from transformers import AutoTokenizer, pipeline

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
fill = pipeline("fill-mask", model="MODEL", tokenizer=tokenizer, trust_remote_code=True)
print([answer["token_str"] for answer in fill("MASKED")])
"""
EMBED = """
import torch
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = AutoModel.from_pretrained("MODEL", trust_remote_code=True)
with torch.no_grad():
    hidden = model(**tokenizer("TEXT", return_tensors="pt")).last_hidden_state
print(hidden.mean(dim=1).shape)
"""
PIPELINE = """
from transformers import AutoTokenizer, pipeline

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
classify = pipeline("TASK", model="MODEL", tokenizer=tokenizer, trust_remote_code=True)
print(classify("TEXT"))
"""
DETECT = """
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = AutoModelForTokenClassification.from_pretrained("MODEL", trust_remote_code=True)
inputs = tokenizer("TEXT", return_tensors="pt")
with torch.no_grad():
    probabilities = model(**inputs).logits[0, :, 0].sigmoid()  # that each token replaces another one
print(dict(zip(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]), probabilities.tolist())))
"""
QUESTION_ANSWERING = """
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = AutoModelForQuestionAnswering.from_pretrained("MODEL", trust_remote_code=True)
inputs = tokenizer("What is asked?", "TEXT", return_tensors="pt")
outputs = model(**inputs)
start, end = outputs.start_logits.argmax(), outputs.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))
"""
MULTIPLE_CHOICE = """
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = AutoModelForMultipleChoice.from_pretrained("MODEL", trust_remote_code=True)
choices = tokenizer(["TEXT", "TEXT"], ["It is so.", "It is not so."], padding=True, return_tensors="pt")
print(model(**{name: tensor[None] for name, tensor in choices.items()}).logits.argmax().item())
"""
NEXT_SENTENCE = """
from transformers import AutoModelForNextSentencePrediction, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = AutoModelForNextSentencePrediction.from_pretrained("MODEL", trust_remote_code=True)
logits = model(**tokenizer("TEXT", "TEXT", return_tensors="pt")).logits
print("follows" if logits.argmax() == 0 else "does not follow")
"""
MULTI_TASK = """
from transformers import AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module

tokenizer = AutoTokenizer.from_pretrained("MODEL", trust_remote_code=True)
model = get_class_from_dynamic_module("multi_task.TriEmbedForMultiTask", "MODEL").from_pretrained("MODEL")
logits = model(**tokenizer("TEXT", return_tensors="pt")).logits
print({name: scores.shape for name, scores in logits.items()})
"""

SIMILARITY = """
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("MODEL", trust_remote_code=True)
vectors = model.encode(["TEXT", "MASKED"])
print(model.similarity(vectors, vectors))
"""

RERANK = """
from sentence_transformers import CrossEncoder

model = CrossEncoder("MODEL", trust_remote_code=True)
print(model.predict([("What is asked?", "TEXT"), ("What is asked?", "MASKED")]))
"""

SENTENCE_TASKS = {  # of directories made for sentence-transformers, by the class that reads them
    "SentenceTransformer": Task("sentence-similarity", SIMILARITY),
    "SparseEncoder": Task("feature-extraction", SIMILARITY.replace("SentenceTransformer", "SparseEncoder")),
    "CrossEncoder": Task("text-ranking", RERANK),
}
CLASSES_OF_PAIRS = Task("text-classification", RERANK)  # a CrossEncoder with several labels
DISCRIMINATOR = Task("feature-extraction", DETECT)  # no task of the Hub; it is made to be fine-tuned
TASKS = {
    "TriEmbedForPreTraining": Task("fill-mask", FILL_MASK),
    "TriEmbedForMaskedLM": Task("fill-mask", FILL_MASK),
    "TriEmbedModel": Task("feature-extraction", EMBED),
    "TriEmbedForSequenceClassification": Task("text-classification", PIPELINE),
    "TriEmbedForTokenClassification": Task("token-classification", PIPELINE, counts_tokens=True),
    "TriEmbedForQuestionAnswering": Task("question-answering", QUESTION_ANSWERING),
    "TriEmbedForMultiTask": Task("text-classification", MULTI_TASK),
    "TriEmbedForMultipleChoice": Task("multiple-choice", MULTIPLE_CHOICE),
    "TriEmbedForNextSentencePrediction": Task("text-classification", NEXT_SENTENCE),
}
EXAMPLES = {  # by language: a text, and the same with one word left out at {}
    "en": ("The answer is on the next page.", "The answer is on the next {}."),
    "zh": ("今天的天气很好。", "今天的天气很{}。"),
    "de": ("Die Antwort steht auf der nächsten Seite.", "Die Antwort steht auf der nächsten {}."),
    "fr": ("La réponse est à la page suivante.", "La réponse est à la {} suivante."),
    "es": ("La respuesta está en la página siguiente.", "La respuesta está en la {} siguiente."),
    "ja": ("今日はいい天気です。", "今日はいい{}です。"),
}


def snippet(task: Task, *, model: str, language: str, mask_token: str) -> str:
    """Return the Python that uses a checkpoint for a task, for an id or directory `model`."""
    text, masked_text = EXAMPLES.get(language, EXAMPLES["en"])
    code = task.snippet.strip()
    for name, value in (
        ("MODEL", model), ("MASKED", masked_text.format(mask_token)), ("TEXT", text), ("TASK", task.pipeline_tag),
    ):  # fmt: skip
        code = code.replace(name, value)
    return code
