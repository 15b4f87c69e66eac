"""PathwayLinear: the same numbers as a dense masked layer, and nothing but the weights of the mask."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from consilience.foundation.errors import ModelError
from consilience.pathways import products
from consilience.pathways.layer import PathwayLinear

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
EVERY = ["compiled", "embedding_bag", "dense"]
every_implementation = pytest.mark.parametrize("how", EVERY)


def make_mask(n_genes: int, n_pathways: int, *, seed: int = 0, most: int = 9) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    edges = [
        (f"g{gene:04d}", f"p{pathway:03d}")
        for pathway in range(n_pathways)
        for gene in rng.choice(n_genes, rng.integers(1, min(most, n_genes) + 1), replace=False)
    ]
    rng.shuffle(edges)
    return {"gene": [gene for gene, _ in edges], "pathway": [pathway for _, pathway in edges]}


def make(n_genes=40, n_pathways=11, *, seed=0, dtype=torch.float64, **options) -> PathwayLinear:
    genes = [f"g{gene:04d}" for gene in range(n_genes)]
    pathways = [*(f"p{pathway:03d}" for pathway in range(n_pathways)), "empty"]
    mask = make_mask(n_genes, n_pathways, seed=seed)
    return PathwayLinear.from_mask(mask, genes=genes, pathways=pathways, **options).to(dtype)


def by_hand(layer: PathwayLinear, mask: dict[str, list[str]], x: np.ndarray) -> np.ndarray:
    """The slow and obvious sum, from names and weights alone."""
    weights = layer.weight.detach().numpy()
    order = sorted({*zip(mask["pathway"], mask["gene"], strict=True)},
                   key=lambda edge: (layer.pathways.index(edge[0]), edge[1]))  # fmt: skip
    y = np.tile(layer.bias.detach().numpy(), (len(x), 1))
    for weight, (pathway, gene) in zip(weights, order, strict=True):
        y[:, layer.pathways.index(pathway)] += weight * x[:, layer.genes.index(gene)]
    return y


def sparse_rows(n_samples: int, n_genes: int, dtype=torch.float64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_samples, n_genes, generator=generator, dtype=dtype)
    return x * (torch.rand(n_samples, n_genes, generator=generator) < 0.3)


@every_implementation
@pytest.mark.parametrize("batch", [0, 1, 2, 63, 64, 65, 131])
def test_values_by_hand(how, batch):
    layer = make(implementation=how)
    x = np.random.default_rng(1).normal(size=(batch, 40))
    got = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, by_hand(layer, make_mask(40, 11), x), rtol=1e-12, atol=1e-12)


@every_implementation
def test_gradients_of_every_order(how):
    layer = make(7, 4, implementation=how)
    x = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = layer.weight.detach().clone().requires_grad_()

    def call(weight, x):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(call, (weight, x))
    assert torch.autograd.gradgradcheck(call, (weight, x))
    rows = sparse_rows(5, 7).to_sparse_csr()
    assert torch.autograd.gradcheck(lambda weight: call(weight, rows), (weight,))
    assert torch.autograd.gradgradcheck(lambda weight: call(weight, rows), (weight,))


def gradients(layer: torch.nn.Module, x: torch.Tensor, *, penalty: bool) -> list[torch.Tensor]:
    """Gradients of a loss, with or without a gradient penalty as in WGAN-GP."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    loss = (y**3).sum()
    if penalty:
        (slope,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
        loss = loss + ((slope.norm(dim=1) - 1) ** 2).sum()
    loss.backward()
    return [y.detach(), x.grad, layer.weight.grad.clone(), layer.bias.grad.clone()]


@pytest.mark.parametrize("penalty", [False, True])
def test_all_implementations_agree_with_a_dense_masked_layer(penalty):
    layers = {how: make(200, 30, implementation=how) for how in EVERY}
    x = torch.randn(70, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first = layers["compiled"]
    dense = first.to_dense().detach()
    present = dense != 0

    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = (
                torch.nn.Parameter(dense.clone()),
                torch.nn.Parameter(first.bias.detach().clone()),
            )

        def forward(self, x):
            return torch.nn.functional.linear(x, self.weight * present, self.bias)

    true = gradients(Masked(), x, penalty=penalty)
    true[2] = true[2].reshape(-1)[first.wiring.flat_index(x.device)]
    for layer in layers.values():
        for got, expected in zip(gradients(layer, x, penalty=penalty), true, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-9)


@every_implementation
def test_sparse_input_gives_the_values_and_gradients_of_dense_input(how):
    layer = make(50, 12, implementation=how)
    x = sparse_rows(37, 50)
    x[5] = 0
    results = []
    for given_x in (x, x.to_sparse_csr(), x.to_sparse_coo()):
        layer.zero_grad()
        y = layer(given_x)
        (y**2).sum().backward()
        results.append((y.detach(), layer.weight.grad.clone(), layer.bias.grad.clone()))
    for got in results[1:]:
        for left, right in zip(got, results[0], strict=True):
            torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)
    assert layer(torch.zeros(0, 50, dtype=torch.float64).to_sparse_csr()).shape == (0, 13)


def test_sparse_input_that_would_read_outside_is_refused():
    layer = make(10, 3)
    starts, columns = torch.tensor([0, 1]), torch.tensor([12])
    outside = torch.sparse_csr_tensor(
        starts, columns, torch.ones(1, dtype=torch.float64), (1, 10), check_invariants=False
    )
    with pytest.raises(ModelError, match="outside the genes"):
        layer(outside)
    asks = sparse_rows(2, 10).to_sparse_csr().requires_grad_()
    with pytest.raises(ModelError, match="gets no gradient"):
        layer(asks)


@every_implementation
def test_shapes_strides_and_leading_dimensions(how):
    layer = make(implementation=how)
    x = torch.randn(6, 5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    true = layer(x.reshape(30, 40))
    torch.testing.assert_close(layer(x).reshape(30, 12), true)
    torch.testing.assert_close(layer(x[0, 0]), true[0])
    turned = x.reshape(30, 40).t().contiguous().t()
    assert not turned.is_contiguous()
    torch.testing.assert_close(layer(turned), true)
    torch.testing.assert_close(layer(x.reshape(30, 40)[::3]), true[::3])
    one = x[:1, 0].expand(4, 40).clone().requires_grad_()
    layer(one).sum().backward()  # the outer gradient is expanded, not contiguous
    torch.testing.assert_close(one.grad, layer.to_dense().sum(0).expand(4, 40))


@every_implementation
def test_an_empty_pathway_is_its_bias_and_an_unused_gene_has_no_gradient(how):
    mask = {"gene": ["a", "b"], "pathway": ["p", "p"]}
    layer = PathwayLinear.from_mask(mask, genes=["c", "b", "a"], pathways=["empty", "p"], implementation=how)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([3.0, 0.0]))
    x = torch.ones(2, 3, requires_grad=True)
    y = layer(x)
    assert y[:, 0].tolist() == [3.0, 3.0]
    y.sum().backward()
    assert x.grad[:, 0].tolist() == [0.0, 0.0]
    nothing = PathwayLinear.from_mask(
        {"gene": [], "pathway": []}, genes=["a"], pathways=["p"], implementation=how
    )
    assert nothing(torch.ones(3, 1)).tolist() == [[0.0]] * 3
    nothing(torch.ones(3, 1)).sum().backward()


def test_only_weights_of_the_mask_exist():
    layer = make(300, 20)
    edges = len(set(zip(*make_mask(300, 20).values(), strict=True)))
    assert sum(parameter.numel() for parameter in layer.parameters()) == edges + 21
    assert int((layer.to_dense() != 0).sum()) == edges
    assert sum(value.numel() for value in layer.state_dict().values()) == edges + 21 + 32
    optimiser = torch.optim.Adam(layer.parameters(), weight_decay=0.1)
    absent = layer.to_dense() == 0
    for _ in range(3):
        optimiser.zero_grad()
        layer(torch.randn(8, 300, dtype=torch.float64)).pow(2).sum().backward()
        optimiser.step()
    assert not layer.to_dense()[absent].any()


def test_fixed_weights_are_means_and_do_not_learn():
    layer = make(learned=False, bias=False)
    assert not [parameter for parameter in layer.parameters() if parameter.requires_grad]
    x = torch.randn(5, 40, dtype=torch.float64)
    members = [
        layer.wiring.member[a:b] for a, b in zip(layer.wiring.start, layer.wiring.start[1:], strict=False)
    ]
    expected = torch.stack(
        [x[:, torch.from_numpy(m).long()].mean(1) if len(m) else torch.zeros(5) for m in members], 1
    )
    torch.testing.assert_close(layer(x), expected.double(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_do_not_depend_on_the_number_of_threads(dtype):
    layer = make(900, 300, dtype=dtype, implementation="compiled", seed=2)
    x = torch.randn(4_000, 900, dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert x.shape[0] * layer.wiring.n_weights > products._WORTH_THREADS
    rows = sparse_rows(9_000, 900, dtype).to_sparse_csr()
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            asked = x.clone().requires_grad_()
            layer.zero_grad()
            y, z = layer(asked), layer(rows)
            y.backward(y.detach())
            z.backward(z.detach())
            found.append((y.detach(), z.detach(), asked.grad, layer.weight.grad.clone()))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(left, right) for left, right in zip(found[0], other, strict=True))


def test_the_order_of_genes_and_of_the_mask_does_not_matter():
    mask = make_mask(60, 8)
    genes = [f"g{gene:04d}" for gene in range(60)]
    shuffled = np.random.default_rng(3).permutation(60)
    one = PathwayLinear.from_mask(mask, genes=genes, seed=4)
    table = pd.DataFrame(mask).sample(frac=1, random_state=0)
    other = PathwayLinear.from_mask(table, genes=[genes[place] for place in shuffled], seed=4)
    x = torch.randn(9, 60)
    torch.testing.assert_close(other(x[:, shuffled.tolist()]), one(x))
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert not torch.equal(one.weight, PathwayLinear.from_mask(mask, genes=genes, seed=5).weight)


def test_a_checkpoint_goes_round_through_safetensors_and_every_implementation(tmp_path):
    x = torch.randn(5, 40, dtype=torch.float64)
    first = make(implementation="dense", seed=0)
    with torch.no_grad():
        first.bias.normal_()
    save_file(first.state_dict(), tmp_path / "layer.safetensors")
    for how in EVERY:
        second = make(implementation=how, seed=0)
        assert not torch.equal(second.bias, first.bias)
        second.load_state_dict(load_file(tmp_path / "layer.safetensors"))
        torch.testing.assert_close(second(x), first(x))
    for clone in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        torch.testing.assert_close(clone(x), first(x))


def test_a_checkpoint_of_another_mask_is_refused_even_when_the_sizes_fit():
    mask = {"gene": ["a", "b"], "pathway": ["p", "p"]}
    other = {"gene": ["a", "c"], "pathway": ["p", "p"]}
    genes = ["a", "b", "c"]
    one, two = (PathwayLinear.from_mask(table, genes=genes) for table in (mask, other))
    before = two.weight.detach().clone()
    with pytest.raises(ModelError, match="another pathway mask"):
        two.load_state_dict(one.state_dict())
    assert torch.equal(two.weight, before)
    nested = torch.nn.Sequential(two, torch.nn.ReLU())
    with pytest.raises(ModelError, match="another pathway mask"):
        nested.load_state_dict(torch.nn.Sequential(one, torch.nn.ReLU()).state_dict())


def test_weights_changed_behind_autograds_back_are_seen_at_once():
    """Weight clipping writes to `.data`, which no version counter sees."""
    for how in EVERY:
        layer = make(implementation=how)
        x = torch.randn(3, 40, dtype=torch.float64)
        layer(x)
        layer.weight.data.fill_(0.5)
        torch.testing.assert_close(layer(x), x @ layer.to_dense().t())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward-mode rules
def test_transforms_and_compilers_get_plain_torch():
    layer = make()
    x = torch.randn(4, 40, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    jacobian = torch.func.jacrev(layer)(x[0])
    torch.testing.assert_close(jacobian, layer.to_dense())
    _, along = torch.func.jvp(layer, (x,), (x,))
    torch.testing.assert_close(along, x @ layer.to_dense().t())


def test_half_precision_and_autocast_on_a_cpu():
    layer = make(dtype=torch.bfloat16)
    x = torch.randn(4, 40, dtype=torch.bfloat16)
    y = layer(x)
    assert y.dtype == torch.bfloat16
    exact = copy.deepcopy(layer).double()
    torch.testing.assert_close(y.double(), exact(x.double()), rtol=2e-2, atol=2e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(make(dtype=torch.float32)(x)).all()


def test_nan_is_not_hidden():
    layer = make(implementation="compiled", dtype=torch.float32)
    x = torch.zeros(2, 40)
    x[0, :] = torch.nan
    y = layer(x)
    assert torch.isnan(y[0, :-1]).all()
    assert not torch.isnan(y[1]).any()


def test_without_numba_plain_torch_is_used(monkeypatch):
    monkeypatch.setattr(products, "has_numba", lambda: False)
    cpu = torch.device("cpu")
    assert products.choose(device=cpu, dtype=torch.float32) == "embedding_bag"
    monkeypatch.setattr(products, "has_numba", lambda: True)
    assert products.choose(device=cpu, dtype=torch.float32) == "compiled"
    assert products.choose(device=cpu, dtype=torch.float16) == "embedding_bag"
    assert products.choose(device=torch.device("cuda"), dtype=torch.float32) == "dense"


@pytest.mark.parametrize(
    ("mask", "genes", "pathways", "what"),
    [
        ({"gene": ["a", "z"], "pathway": ["p", "p"]}, ["a"], None, "1 of 2 genes of the mask are not"),
        ({"gene": ["a", "a"], "pathway": ["p", "p"]}, ["a"], None, "names gene a twice in pathway p"),
        ({"gene": ["a"], "pathway": ["p"]}, ["a", "a"], None, "gene is listed twice"),
        ({"gene": ["a"], "pathway": ["p"]}, ["a"], ["p", "p"], "pathway is listed twice"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, genes, pathways, what):
    with pytest.raises(ModelError, match=what):
        PathwayLinear.from_mask(mask, genes=genes, pathways=pathways)


def test_missing_genes_can_be_left_out_only_when_said():
    layer = PathwayLinear.from_mask(
        {"gene": ["a", "z"], "pathway": ["p", "p"]}, genes=["a"], allow_missing=True
    )
    assert layer.weight.shape == (1,)


def test_wrong_input_is_refused_in_words():
    layer = make()
    with pytest.raises(ModelError, match="wrong number of genes"):
        layer(torch.zeros(2, 39, dtype=torch.float64))
    with pytest.raises(ModelError, match="different number types"):
        layer(torch.zeros(2, 40, dtype=torch.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 70), st.integers(0, 1000))
def test_any_size_agrees_with_the_dense_product(n_genes, n_pathways, batch, seed):
    for how in ("compiled", "embedding_bag"):
        layer = make(n_genes, n_pathways, seed=seed, implementation=how)
        x = sparse_rows(batch, n_genes, seed=seed).requires_grad_()
        y = layer(x)
        expected = x @ layer.to_dense().t() + layer.bias
        torch.testing.assert_close(y, expected, rtol=1e-11, atol=1e-11)
        outer = torch.ones_like(y)
        inputs = (x, layer.weight)
        for got, true in zip(
            torch.autograd.grad(y, inputs, outer), torch.autograd.grad(expected, inputs, outer), strict=True
        ):
            torch.testing.assert_close(got, true, rtol=1e-11, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.parametrize("penalty", [False, True])
def test_gpu_gives_the_values_and_checkpoint_of_the_cpu(penalty):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    layer = make(200, 30)
    x = torch.randn(70, 200, dtype=torch.float64)
    on_gpu = make(200, 30, seed=0)
    on_gpu.load_state_dict(layer.state_dict())
    on_gpu.cuda()
    for got, expected in zip(
        gradients(on_gpu, x.cuda(), penalty=penalty), gradients(layer, x, penalty=penalty), strict=True
    ):
        torch.testing.assert_close(got.cpu(), expected, rtol=1e-9, atol=1e-9)
    rows = sparse_rows(9, 200)
    torch.testing.assert_close(on_gpu(rows.to_sparse_csr().cuda()).cpu(), layer(rows))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        half = make(200, 30, dtype=torch.float32).cuda()(x.float().cuda())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double().cpu(), make(200, 30)(x), rtol=5e-2, atol=5e-2)
    assert all(value.is_cuda or key == "structure" for key, value in on_gpu.state_dict().items())
