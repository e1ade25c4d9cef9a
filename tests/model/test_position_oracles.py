"""Every position type against loops written from its paper, in fp64 to 1e-12 and fp32 to 1e-5.

An oracle says what one attention layer computes for one document, token by token: what position adds to the input,
and the score of each pair. All else (padding, packing, kernels) is proven against such single documents elsewhere.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.position_biases import alibi_slopes

HEADS, HEAD_DIM, WIDTH, TRAINED, LENGTH = 4, 8, 32, 24, 14


def model_of(position: str, *, length: int = TRAINED, **changes) -> TriEmbedModel:
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=50, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=HEADS, intermediate_size=64,
        max_position_embeddings=length, position_embedding_type=position, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, **changes,
    )  # fmt: skip
    model = TriEmbedModel(config).eval().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        for part in model.embeddings.position.values():
            if hasattr(part, "log_threshold"):  # FIRE's: some positions lie before it, some after
                part.log_threshold.fill_(math.log(5))
    return model


class Oracle:
    """What a type does, one number at a time; `part` and `layer` hold the trained weights."""

    def __init__(self, part, layer) -> None:
        self.part, self.layer = part, layer
        self.ids: list[int] = []
        self.rows: list[Tensor] = []  # the input of the layer, one for each token

    def summand(self, p: int) -> Tensor | None:
        return None

    def turn(self, vector: Tensor, p: int) -> Tensor:
        return vector

    def score(self, query: Tensor, key: Tensor, i: int, j: int, h: int) -> Tensor | float:
        """What is added to query times key before the root divides, given vectors (K,) before any rotation."""
        return 0.0

    def bias(self, i: int, j: int, h: int) -> Tensor | float:
        """What is added after the root."""
        return 0.0

    terms = 1


class Learned(Oracle):
    def summand(self, p):
        return self.part.table.weight[p]


class Sinusoidal(Oracle):
    def summand(self, p):
        row = torch.zeros(WIDTH, dtype=torch.float64)
        for i in range(WIDTH // 2):
            angle = p / 10000 ** (2 * i / WIDTH)
            row[2 * i], row[2 * i + 1] = math.sin(angle), math.cos(angle)
        return row if self.part.scale is None else row * self.part.scale[0]


class Fourier(Oracle):
    def summand(self, p):
        count = len(self.part.log_frequencies)
        waves = torch.zeros(2 * count, dtype=torch.float64)
        for k in range(count):
            frequency = 10000 ** (-k / count) * math.exp(self.part.log_frequencies[k])
            waves[k], waves[count + k] = math.sin(frequency * p), math.cos(frequency * p)
        hidden = torch.stack([row @ waves for row in self.part.up.weight]) + self.part.up.bias
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        return torch.stack([row @ hidden for row in self.part.down.weight]) + self.part.down.bias


class Rope(Oracle):
    def frequency(self, k):
        return 10000 ** (-2 * k / HEAD_DIM)

    def turn(self, vector, p):
        turned = torch.zeros_like(vector)
        for k in range(HEAD_DIM // 2):
            angle = p * self.frequency(k)
            x, y = vector[k], vector[k + HEAD_DIM // 2]
            turned[k] = x * math.cos(angle) - y * math.sin(angle)
            turned[k + HEAD_DIM // 2] = y * math.cos(angle) + x * math.sin(angle)
        return turned


class Hope(Rope):
    def frequency(self, k):
        frequency = super().frequency(k)
        return frequency if frequency * TRAINED >= 2 * math.pi else 0.0


class Alibi(Oracle):
    def bias(self, i, j, h):
        return -alibi_slopes(HEADS)[h] * abs(i - j)


class AlibiAsymmetric(Oracle):
    def bias(self, i, j, h):
        side = 0 if j < i else 1
        return -math.exp(self.part.log_slopes[side, h]) * abs(i - j)


class Kerple(Oracle):
    def bias(self, i, j, h):
        r, s = math.exp(self.part.log_strength[h]), math.exp(self.part.log_speed[h])
        return -r * math.log(1 + s * abs(i - j))


class Fire(Oracle):
    def bias(self, i, j, h):
        c, threshold = math.exp(self.part.log_rate[0]), math.exp(self.part.log_threshold[0])

        def psi(x):
            return math.copysign(math.log(1 + c * abs(x)), x)

        x = psi(i - j) / psi(max(threshold, i, j))
        total = self.part.down.bias[h]
        for k in range(len(self.part.up.bias)):
            total = total + self.part.down.weight[h, k] * max(0.0, self.part.up.weight[k, 0] * x + self.part.up.bias[k])
        return total


class RelativeBias(Oracle):
    def bias(self, i, j, h):
        distance, half, exact = abs(i - j), 16, 8  # 32 buckets, T5's defaults
        if distance >= exact:
            distance = min(half - 1, exact + int(math.log(distance / exact) / math.log(128 / exact) * (half - exact)))
        return self.part.table.weight[distance + (half if j > i else 0), h]


class RelativeKey(Oracle):
    def vector(self, i, j):
        return self.layer.position["relative_key"].table.weight[min(max(i - j, 1 - TRAINED), TRAINED - 1) + TRAINED - 1]

    def score(self, query, key, i, j, h):
        return query @ self.vector(i, j)


class RelativeKeyQuery(RelativeKey):
    def vector(self, i, j):
        return self.layer.position["relative_key_query"].table.weight[i - j + TRAINED - 1]

    def score(self, query, key, i, j, h):
        return query @ self.vector(i, j) + key @ self.vector(i, j)


class Disentangled(Oracle):
    terms = 3

    def row(self, i, j):
        middle, furthest = TRAINED // 4, TRAINED
        distance = abs(i - j)
        if distance > middle:
            steps = math.log(distance / middle) / math.log((furthest - 1) / middle) * (middle - 1)
            distance = math.ceil(steps - 1e-6) + middle
        span = TRAINED // 2
        return min(max(int(math.copysign(distance, i - j)) + span, 0), 2 * span - 1)

    def score(self, query, key, i, j, h):
        table = self.part.norm(self.part.table.weight)[self.row(i, j)]
        mine = slice(h * HEAD_DIM, (h + 1) * HEAD_DIM)
        layer = self.layer.position["disentangled"]
        return query @ layer.key(table)[mine] + key @ layer.query(table)[mine]


class Tupe(Oracle):
    terms = 2

    def bias(self, i, j, h):
        if i == 0:
            return self.part.reset[0, h]
        if j == 0:
            return self.part.reset[1, h]
        mine = slice(h * HEAD_DIM, (h + 1) * HEAD_DIM)
        left, right = (self.part.norm(self.part.table.weight[p]) for p in (i, j))
        return self.part.query(left)[mine] @ self.part.key(right)[mine] / math.sqrt(2 * HEAD_DIM)


class CosineBias(Oracle):
    def bias(self, i, j, h):
        total = 0.0
        for m in range(self.part.amplitudes.shape[1]):
            frequency = 10000 ** (-m / self.part.amplitudes.shape[1]) * math.exp(self.part.log_frequencies[h, m])
            total = total + self.part.amplitudes[h, m] * torch.cos(frequency * (i - j) + self.part.phases[h, m])
        return total


class Cable(Oracle):
    def bias(self, i, j, h):
        step = self.layer.position["cable"].step
        first, last = sorted((i, j))
        distance = 0.0
        for k in range(first + 1, last + 1):
            distance = distance + torch.log(1 + torch.exp(step.weight[h] @ self.rows[k] + step.bias[h]))
        return -math.log(1 + distance**2)


class DualTriangle(Oracle):
    def bias(self, i, j, h):
        hidden = j > i if h % 2 == 0 else j < i
        return -math.inf if hidden else 0.0


class Bipe(Rope):
    def place(self, p):
        """How many sentences end before a token, and how many tokens of its own stand before it."""
        ends = [k for k in range(p) if self.ids[k] in (self.part.options["separators"] or [])]
        return len(ends), p - (ends[-1] + 1 if ends else 0)

    def summand(self, p):
        return self.part.table.weight[min(self.place(p)[1], TRAINED - 1)]

    def turn(self, vector, p):
        return super().turn(vector, self.place(p)[0])


ORACLES: dict[str, Callable] = {
    "learned": Learned, "sinusoidal": Sinusoidal, "fourier": Fourier, "none": Oracle, "rope": Rope, "hope": Hope,
    "alibi": Alibi, "alibi_asymmetric": AlibiAsymmetric, "kerple": Kerple, "fire": Fire,
    "relative_bias": RelativeBias, "relative_key": RelativeKey, "relative_key_query": RelativeKeyQuery,
    "disentangled": Disentangled, "tupe": Tupe, "cosine_bias": CosineBias, "cable": Cable,
    "dual_triangle": DualTriangle, "bipe": Bipe,
}  # fmt: skip
COMPOSITIONS = ["learned+relative_bias", "sinusoidal+alibi", "rope+alibi", "tupe+relative_bias", "learned+disentangled",
                "rope+cosine_bias+tupe", "fourier+kerple+relative_key", "hope+fire",
                "rope+dual_triangle", "bipe+cable"]  # fmt: skip


@torch.no_grad()
def slow_attention(model: TriEmbedModel, ids: Tensor) -> Tensor:
    """Compute the attention sub-layer of one document (S,) from the sums of the papers."""
    layer = model.layers[0].attention
    oracles = [ORACLES[name](part, layer) for name, part in model.embeddings.position.items()]
    rows: list[Tensor] = []
    for oracle in oracles:
        oracle.ids, oracle.rows = ids.tolist(), rows
    for p, token in enumerate(ids):
        row = model.embeddings.token.weight[token] + model.embeddings.segment.weight[0]
        for oracle in oracles:
            row = row if oracle.summand(p) is None else row + oracle.summand(p)
        rows.append(model.embeddings.norm(row))
    queries, keys, values = ([project(row).view(HEADS, HEAD_DIM) for row in rows]
                             for project in (layer.query, layer.key, layer.value))  # fmt: skip
    root = math.sqrt(HEAD_DIM * (1 + sum(oracle.terms - 1 for oracle in oracles)))
    result = torch.zeros(len(ids), HEADS, HEAD_DIM, dtype=torch.float64)
    for h in range(HEADS):
        for i in range(len(ids)):
            scores = []
            for j in range(len(ids)):
                query, key = queries[i][h], keys[j][h]
                turned_query, turned_key = query, key
                for oracle in oracles:
                    turned_query, turned_key = oracle.turn(turned_query, i), oracle.turn(turned_key, j)
                score = turned_query @ turned_key + sum(oracle.score(query, key, i, j, h) for oracle in oracles)
                # TUPE divides its own product by sqrt(2K) whatever else is there; see its class.
                scores.append(score / root + sum(oracle.bias(i, j, h) for oracle in oracles))
            weights = torch.stack(scores).softmax(dim=0)
            result[i, h] = sum(weight * values[j][h] for j, weight in enumerate(weights))
    return layer.out(result.flatten(1))


def fast_attention(model: TriEmbedModel, ids: Tensor, kernel: str) -> Tensor:
    """Return what the model computes in the same place."""
    model.set_attn_implementation(kernel)
    found = []
    hook = model.layers[0].attention.register_forward_hook(lambda module, inputs, output: found.append(output[0][0]))
    with torch.no_grad():
        model(ids[None])
    hook.remove()
    return found[0]


def test_every_type_has_an_oracle() -> None:
    assert set(ORACLES) == set(POSITION_TYPES)


@pytest.mark.parametrize("position", [*ORACLES, *COMPOSITIONS])
def test_equals_the_loops_of_the_paper(position: str) -> None:
    model = model_of(position)
    ids = torch.randint(1, 50, (LENGTH,))
    expected = slow_attention(model, ids)
    for kernel in ("eager", "sdpa"):
        torch.testing.assert_close(fast_attention(model, ids, kernel), expected, atol=1e-12, rtol=1e-12, msg=kernel)
    model.float()
    for kernel in ("eager", "sdpa"):  # flex is held to these elsewhere
        found = fast_attention(model, ids, kernel).double()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=kernel)


@pytest.mark.parametrize(
    "position, options",
    [
        ("sinusoidal", {"learned_scale": True}),
        ("fourier", {"num_frequencies": 7}),
        ("fire", {"width": 5}),
        ("cosine_bias", {"num_terms": 3}),
        ("bipe", {"separators": [7, 9]}),
    ],
)
def test_options_mean_what_they_say(position: str, options: dict) -> None:
    model = model_of(position, position_parameters={position: options})
    ids = torch.randint(1, 50, (LENGTH,))
    ids[[0, 4, 5, 9, 13]] = torch.tensor([7, 9, 7, 9, 7])
    expected = slow_attention(model, ids)
    torch.testing.assert_close(fast_attention(model, ids, "eager"), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("position", ["tupe", "cosine_bias", "tupe+cosine_bias", "rope+tupe"])
def test_folding_is_exact(position: str, monkeypatch) -> None:
    model = model_of(position)
    ids = torch.randint(1, 50, (LENGTH,))
    expected = fast_attention(model, ids, "sdpa")
    monkeypatch.setattr("hf_embeddings.model.modeling_triembed.folds_biases", lambda kernel, device: True)
    for kernel in ("eager", "sdpa"):
        torch.testing.assert_close(fast_attention(model, ids, kernel), expected, atol=1e-12, rtol=1e-12)
