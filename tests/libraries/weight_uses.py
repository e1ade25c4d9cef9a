"""Libraries that look into a model or rewrite its weights. One function each, `(folder, trust) -> figure`."""

import torch
from inputs import TEXTS, batch, classifier, close, hidden, load, same, tokenizer_of


def captum(folder: str, trust: bool) -> str:
    """Integrated gradients at the token table, by hooks and by an interpretable embedding layer."""
    from captum.attr import (
        IntegratedGradients,
        LayerIntegratedGradients,
        configure_interpretable_embedding_layer,
        remove_interpretable_embedding_layer,
    )

    inputs, model = batch(folder, trust), classifier(folder, trust)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    table = model.get_input_embeddings()

    def score(tokens, mask):
        return model(input_ids=tokens, attention_mask=mask).logits[:, 0]

    def score_embedded(vectors, mask):
        return model(inputs_embeds=vectors, attention_mask=mask).logits[:, 0]

    layer, gap = LayerIntegratedGradients(score, table).attribute(
        ids, torch.zeros_like(ids), additional_forward_args=(mask,), n_steps=50, return_convergence_delta=True
    )
    assert gap.abs().max() < 1e-2, f"attributions miss the score by {gap.abs().max():.2g}"
    name = next(name for name, module in model.named_modules() if module is table)
    embedding = configure_interpretable_embedding_layer(model, name)
    given, zero = embedding.indices_to_embeddings(ids), embedding.indices_to_embeddings(torch.zeros_like(ids))
    inner = IntegratedGradients(score_embedded).attribute(given, zero, additional_forward_args=(mask,), n_steps=50)
    remove_interpretable_embedding_layer(model, embedding)
    return same(inner.sum(-1), layer.sum(-1), 1e-3)


def torchao(folder: str, trust: bool) -> str:
    """Weights in int8, saved and loaded as a state."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    inputs, model = batch(folder, trust), load("AutoModel", folder, trust)
    exact = hidden(model, inputs)
    quantize_(model, Int8WeightOnlyConfig())
    figure = close(hidden(model, inputs), exact)
    torch.save(model.state_dict(), "int8.pt")
    again = load("AutoModel", folder, trust)
    again.load_state_dict(torch.load("int8.pt", weights_only=False), assign=True)
    same(hidden(again, inputs), hidden(model, inputs))
    return figure


def quanto(folder: str, trust: bool) -> str:
    """Weights in int8, frozen, saved as safetensors and loaded into another model."""
    from optimum.quanto import freeze, qint8, quantization_map, quantize, requantize
    from safetensors.torch import load_file, save_file

    inputs, model = batch(folder, trust), load("AutoModel", folder, trust)
    exact = hidden(model, inputs)
    quantize(model, weights=qint8)
    freeze(model)
    figure = close(hidden(model, inputs), exact)
    save_file(model.state_dict(), "int8.safetensors")
    again = load("AutoModel", folder, trust)
    requantize(again, load_file("int8.safetensors"), quantization_map(model), device=torch.device("cpu"))
    same(hidden(again, inputs), hidden(model, inputs))
    return figure


def openvino(folder: str, trust: bool) -> str:
    """A model converted for OpenVINO, saved, loaded and run on a batch of another shape."""
    import openvino

    inputs, model = batch(folder, trust), load("AutoModel", folder, trust)
    example = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        converted = openvino.convert_model(model, example_input=example)
    openvino.save_model(converted, "model.xml", compress_to_fp16=False)
    run = openvino.Core().compile_model("model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    other = {name: tensor[:2, :8] for name, tensor in example.items()}
    found = run({name: tensor.numpy() for name, tensor in other.items()})
    return same(found[0], hidden(model, other), 1e-4)


def shap(folder: str, trust: bool) -> str:
    """Shapley values of the words of texts, that add up to the texts' scores."""
    import shap
    import transformers

    model, tokenizer = classifier(folder, trust), tokenizer_of(folder, trust)
    scores = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    values = shap.Explainer(scores, silent=True)(TEXTS[:1])
    found = dict(zip(values.output_names, values.base_values[0] + values.values[0].sum(0), strict=True))
    answers = scores(TEXTS[:1])[0]
    return same([found[answer["label"]] for answer in answers], [answer["score"] for answer in answers], 1e-4)
