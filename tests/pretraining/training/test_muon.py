"""Laws of Muon: that of the paper, and torch's own up to the rounding of bf16."""

import pytest
import torch

from hf_embeddings.pretraining.training import muon
from hf_embeddings.pretraining.training.muon import Muon, orthogonalise

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SHAPES = [(8, 8), (6, 20), (20, 6)]


@pytest.fixture(params=[True, False], ids=["bf16", "fp32"])
def bf16_is_fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(muon, "bf16_is_fast", lambda device: request.param)
    return request.param


def matrices(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def train(optimizer: torch.optim.Optimizer, steps: int = 4) -> list[torch.Tensor]:
    """Return the changes of the parameters after steps whose gradients are the same for every optimizer."""
    parameters = optimizer.param_groups[0]["params"]
    before = [parameter.detach().clone() for parameter in parameters]
    for step in range(steps):
        for parameter, gradient in zip(parameters, matrices(step + 1), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return [after.detach() - start for after, start in zip(parameters, before, strict=True)]


def as_in_the_paper(parameter: torch.Tensor, steps: int, number: int, lr: float, decay: float) -> torch.Tensor:
    """Return the change of a parameter, written down as the paper has it, in double precision."""
    start, mean = parameter.double(), torch.zeros_like(parameter).double()
    value = start
    for step in range(steps):
        gradient = matrices(step + 1)[number].double()
        mean = 0.95 * mean + 0.05 * gradient
        update = 0.05 * gradient + 0.95 * mean
        left, singular, right = torch.linalg.svd(update, full_matrices=False)
        singular = singular / update.norm()
        for _ in range(5):
            a, b, c = COEFFICIENTS
            singular = a * singular + b * singular**3 + c * singular**5
        value = (1 - lr * decay) * value - lr * 0.2 * max(value.shape) ** 0.5 * left @ singular.diag() @ right
    return value - start


def test_it_is_the_paper_s(bf16_is_fast: bool) -> None:
    parameters = [torch.nn.Parameter(matrix) for matrix in matrices()]
    expected = [as_in_the_paper(p.detach(), 4, number, 0.02, 0.1) for number, p in enumerate(parameters)]
    for change, right in zip(train(Muon(parameters, lr=0.02, weight_decay=0.1)), expected, strict=True):
        error = (change - right).norm() / right.norm()
        assert error < (0.05 if bf16_is_fast else 1e-4)


def test_in_bf16_it_is_torch_s_own_with_the_scale_of_adamw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "bf16_is_fast", lambda device: True)
    ours = Muon([torch.nn.Parameter(matrix) for matrix in matrices()], lr=0.02, weight_decay=0.1)
    torchs = torch.optim.Muon(
        [torch.nn.Parameter(matrix) for matrix in matrices()],
        lr=0.02,
        weight_decay=0.1,
        adjust_lr_fn="match_rms_adamw",
    )
    for change, right in zip(train(ours), train(torchs), strict=True):
        assert (change - right).norm() / right.norm() < 0.02
    for own, other in zip(ours.state.values(), torchs.state.values(), strict=True):
        assert own.keys() == other.keys()  # saved runs of either go on with the other
        torch.testing.assert_close(own["momentum_buffer"], other["momentum_buffer"])


def test_no_product_runs_in_a_format_that_is_slow(bf16_is_fast: bool) -> None:
    seen = set()

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
                seen.update(argument.dtype for argument in args)
            return function(*args, **(kwargs or {}))

    with Watch():
        train(Muon([torch.nn.Parameter(matrix) for matrix in matrices()], lr=0.02), steps=1)
    assert seen == {torch.bfloat16 if bf16_is_fast else torch.float32}


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrix, coefficients=COEFFICIENTS, steps=5, dtype=torch.float32)
    singular = torch.linalg.svdvals(result)
    assert result.shape == matrix.shape and singular.min() > 0.3 and singular.max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    parameter = torch.nn.Parameter(matrices()[0])
    before = parameter.detach().clone()
    parameter.grad = torch.zeros_like(before)
    Muon([parameter], lr=0.02, weight_decay=0.0).step()
    torch.testing.assert_close(parameter.detach(), before, rtol=0, atol=0)
