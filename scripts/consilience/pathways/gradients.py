"""Derivatives of the pathway sums: three functions, each the derivative of the others, to any order.

So a gradient penalty (the gradient of a gradient) runs on the same fast sums as the forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function

from consilience.pathways import products
from consilience.pathways.products import Implementation, SparseRows
from consilience.pathways.wiring import Wiring

Gradients = tuple[torch.Tensor | None, torch.Tensor | None, None, None]


def apply(function: Any, *arguments: Any) -> Any:
    """Run an autograd function (their `apply` carries no types)."""
    return function.apply(*arguments)


class Sums(Function):
    """x (samples × genes), weight → samples × pathways."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, wiring: Wiring, how: Implementation
    ) -> torch.Tensor:
        """Compute, and keep what the derivative needs."""
        ctx.save_for_backward(x, weight)
        ctx.wiring, ctx.how = wiring, how
        return products.sums(x, weight, wiring, how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:
        """Only the gradients that are asked for."""
        x, weight = ctx.saved_tensors
        rest = (ctx.wiring, ctx.how)
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        return (
            apply(Spread, grads[0], weight, *rest) if needs_x else None,
            apply(EdgeProducts, grads[0], x, *rest) if needs_weight else None,
            None,
            None,
        )


class Spread(Function):
    """g (samples × pathways), weight → samples × genes."""

    @staticmethod
    def forward(
        ctx: Any, g: torch.Tensor, weight: torch.Tensor, wiring: Wiring, how: Implementation
    ) -> torch.Tensor:
        """Compute, and keep what the derivative needs."""
        ctx.save_for_backward(g, weight)
        ctx.wiring, ctx.how = wiring, how
        return products.spread(g, weight, wiring, how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:
        """Only the gradients that are asked for."""
        g, weight = ctx.saved_tensors
        rest = (ctx.wiring, ctx.how)
        needs_g, needs_weight = ctx.needs_input_grad[:2]
        return (
            apply(Sums, grads[0], weight, *rest) if needs_g else None,
            apply(EdgeProducts, g, grads[0], *rest) if needs_weight else None,
            None,
            None,
        )


class EdgeProducts(Function):
    """g (samples × pathways), x (samples × genes) → one number per weight."""

    @staticmethod
    def forward(
        ctx: Any, g: torch.Tensor, x: torch.Tensor, wiring: Wiring, how: Implementation
    ) -> torch.Tensor:
        """Compute, and keep what the derivative needs."""
        ctx.save_for_backward(g, x)
        ctx.wiring, ctx.how = wiring, how
        return products.edge_products(g, x, wiring, how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:
        """Only the gradients that are asked for."""
        g, x = ctx.saved_tensors
        rest = (ctx.wiring, ctx.how)
        needs_g, needs_x = ctx.needs_input_grad[:2]
        return (
            apply(Sums, x, grads[0], *rest) if needs_g else None,
            apply(Spread, g, grads[0], *rest) if needs_x else None,
            None,
            None,
        )


class SparseSums(Function):
    """weight, sparse x (no gradient) → samples × pathways."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, x: SparseRows, wiring: Wiring, how: Implementation
    ) -> torch.Tensor:
        """Compute, and keep what the derivative needs."""
        ctx.x, ctx.wiring, ctx.how = x, wiring, how
        return products.sums(x, weight, wiring, how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:
        """Only the gradients that are asked for."""
        needed = ctx.needs_input_grad[0]
        product = apply(SparseEdgeProducts, grads[0], ctx.x, ctx.wiring, ctx.how) if needed else None
        return product, None, None, None


class SparseEdgeProducts(Function):
    """g (samples × pathways), sparse x (no gradient) → one number per weight."""

    @staticmethod
    def forward(
        ctx: Any, g: torch.Tensor, x: SparseRows, wiring: Wiring, how: Implementation
    ) -> torch.Tensor:
        """Compute, and keep what the derivative needs."""
        ctx.x, ctx.wiring, ctx.how = x, wiring, how
        return products.edge_products(g, x, wiring, how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:
        """Only the gradients that are asked for."""
        needed = ctx.needs_input_grad[0]
        return apply(SparseSums, grads[0], ctx.x, ctx.wiring, ctx.how) if needed else None, None, None, None
