"""Libraries that train: three steps, saved, loaded, the same output. One function each, `(folder, trust) -> figure`."""

import copy

import torch
from inputs import LABELS, TEXTS, NotOffered, batch, classifier, logits, same, tokenizer_of, train
from torch.utils.data import DataLoader, TensorDataset


def peft(folder: str, trust: bool) -> str:
    """LoRA on all linear layers."""
    from peft import LoraConfig, PeftModel, get_peft_model

    inputs = batch(folder, trust)
    model = get_peft_model(classifier(folder, trust), LoraConfig(task_type="SEQ_CLS", target_modules="all-linear"))
    train(model, inputs)
    trained = logits(model, inputs)
    model.save_pretrained("adapter")
    figure = same(logits(PeftModel.from_pretrained(classifier(folder, trust), "adapter"), inputs), trained)
    same(logits(model.merge_and_unload(), inputs), trained)
    return figure


def accelerate(folder: str, trust: bool) -> str:
    """Training prepared by an Accelerator, its state saved; then offloading of all weights to the disk."""
    from accelerate import Accelerator, disk_offload

    inputs, accelerator = batch(folder, trust), Accelerator(cpu=True)
    model = classifier(folder, trust)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=1e-2))
    train(model, inputs, optimizer)
    trained = logits(model, inputs)
    accelerator.save_state("state")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    accelerator.load_state("state")
    same(logits(model, inputs), trained)
    disk_offload(model, "offloaded", execution_device=torch.device("cpu"))
    return same(logits(model, inputs), trained)


def sentence_transformers(folder: str, trust: bool) -> str:
    """Contrastive training of a SentenceTransformer."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, losses
    from sentence_transformers.training_args import SentenceTransformerTrainingArguments

    model = SentenceTransformer(folder, trust_remote_code=trust, device="cpu")
    before = model.encode(TEXTS)
    pairs = Dataset.from_dict({"anchor": TEXTS, "positive": TEXTS[::-1]})
    arguments = SentenceTransformerTrainingArguments(
        "runs", max_steps=3, report_to=[], use_cpu=True, save_strategy="no"
    )
    loss = losses.MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(model, args=arguments, train_dataset=pairs, loss=loss).train()
    trained = model.encode(TEXTS)
    assert abs(trained - before).max() > 1e-6, "training changed nothing"
    model.save("saved")
    return same(SentenceTransformer("saved", trust_remote_code=trust, device="cpu").encode(TEXTS), trained)


def setfit(folder: str, trust: bool) -> str:
    """Few-shot classification."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(folder, trust_remote_code=trust, device="cpu")
    examples = Dataset.from_dict({"text": TEXTS, "label": LABELS})
    arguments = TrainingArguments("runs", max_steps=3, batch_size=4, report_to="none", save_strategy="no")
    Trainer(model, arguments, train_dataset=examples).train()
    trained = model.predict_proba(TEXTS)
    model.save_pretrained("saved")
    again = SetFitModel.from_pretrained("saved", trust_remote_code=trust, device="cpu")
    return same(again.predict_proba(TEXTS), trained)


def lightning(folder: str, trust: bool) -> str:
    """A LightningModule around a classifier."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = classifier(folder, trust)

        def training_step(self, rows):
            return self.model(input_ids=rows[0], attention_mask=rows[1], labels=rows[2]).loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    inputs, module = batch(folder, trust), Module()
    rows = DataLoader(TensorDataset(inputs["input_ids"], inputs["attention_mask"], torch.tensor(LABELS)), batch_size=4)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_steps=3, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(module, rows)
    trainer.save_checkpoint("saved.ckpt")
    return same(logits(Module.load_from_checkpoint("saved.ckpt").model, inputs), logits(module.model, inputs))


def skorch(folder: str, trust: bool) -> str:
    """A scikit-learn classifier of a model, with skorch's tokenizer in front."""
    from sklearn.pipeline import Pipeline
    from skorch import NeuralNetClassifier
    from skorch.hf import HuggingfacePretrainedTokenizer

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = classifier(folder, trust)

        def forward(self, **inputs):
            return self.model(**inputs).logits

    def net():
        return NeuralNetClassifier(
            Module, criterion=torch.nn.CrossEntropyLoss, max_epochs=3, batch_size=4, train_split=None, verbose=0
        )

    tokenizer = HuggingfacePretrainedTokenizer(tokenizer_of(folder, trust), max_length=16)
    trained = Pipeline([("tokens", tokenizer), ("net", net())]).fit(TEXTS, torch.tensor(LABELS).numpy())
    trained["net"].save_params("weights.pt")
    again = net().initialize()
    again.load_params("weights.pt")
    return same(again.predict_proba(trained["tokens"].transform(TEXTS)), trained.predict_proba(TEXTS))


def opacus(folder: str, trust: bool) -> str:
    """Gradients of each text for itself, beside those of a loop over the texts.

    Positions are frozen: what is read once for all texts has no gradient of each text.
    """
    from opacus import GradSampleModule

    inputs, model = batch(folder, trust), classifier(folder, trust).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("position" not in name)
    plain = copy.deepcopy(model)
    wrapped = GradSampleModule(model, loss_reduction="sum", strict=False)
    torch.nn.functional.cross_entropy(wrapped(**inputs).logits, torch.tensor(LABELS), reduction="sum").backward()
    lacking = [n for n, p in model.named_parameters() if p.requires_grad and getattr(p, "grad_sample", None) is None]
    assert not lacking, f"no gradients for {lacking}"
    largest = 0.0
    for row, label in enumerate(LABELS):
        plain.zero_grad()
        one = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
        torch.nn.functional.cross_entropy(plain(**one).logits, torch.tensor([label])).backward()
        for (name, ours), (_, theirs) in zip(model.named_parameters(), plain.named_parameters(), strict=True):
            if ours.requires_grad and theirs.grad is not None:
                difference = (ours.grad_sample[row] - theirs.grad).abs().max().item()
                assert difference < 1e-5, f"{name}: {difference:.2g}"
                largest = max(largest, difference)
    return f"difference {largest:.1g}"


def adapters(folder: str, trust: bool) -> str:
    """A bottleneck adapter."""
    import adapters

    inputs, model = batch(folder, trust), classifier(folder, trust)
    adapters.init(model)
    model.add_adapter("task")
    model.train_adapter("task")
    train(model, inputs)
    model.save_adapter("adapter", "task")
    return same(logits(model, inputs), logits(model, inputs))


def gliner(folder: str, trust: bool) -> str:
    """Entities of any kind, with the checkpoint as the backbone."""
    from gliner import GLiNER, GLiNERConfig

    if trust:
        raise NotOffered("it reads the config.json of a backbone without trust_remote_code")
    words = TEXTS[0].split()
    torch.manual_seed(0)
    config = GLiNERConfig(model_name=folder, hidden_size=16, max_width=3, max_len=24, dropout=0.0)
    model = GLiNER.from_config(config)
    example = {"tokenized_text": words, "ner": [[4, 4, "next"]]}
    collator = model.data_collator_class(model.config, data_processor=model.data_processor, prepare_labels=True)
    inputs = collator([example])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(3):
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0], losses
    model.save_pretrained("saved")
    again = GLiNER.from_pretrained("saved", local_files_only=True)
    scores = [[e["score"] for e in m.eval().inference([TEXTS[0]], ["next"], threshold=0.0)[0]] for m in (model, again)]
    assert scores[0], "nothing was found"
    return same(scores[1], scores[0])
