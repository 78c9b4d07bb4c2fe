"""Implicit roots: derivatives of every order against the closed form, whatever found the root."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from picq.optics.root import implicit_root


def residual(u, args):
    a, b = args
    return u**3 * b - a


def find(args):
    """Right to rounding, with derivatives that are wrong on purpose."""
    return jax.lax.stop_gradient(jnp.cbrt(args[0] / args[1]))


def cubic_root(a, b):
    return implicit_root(residual, find, (a, b))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_are_those_of_the_closed_form(order):
    ours, closed = cubic_root, lambda a, b: (a / b) ** (1 / 3)
    for _ in range(order):
        ours, closed = jax.grad(ours), jax.grad(closed)
    assert float(ours(2.0, 0.7)) == pytest.approx(float(closed(2.0, 0.7)), rel=1e-12)


def test_arguments_broadcast_under_vmap_and_in_reverse():
    a, b = jnp.linspace(1.0, 3.0, 5), jnp.array([[0.5], [2.0]])
    total = lambda a, b: jnp.sum(jnp.sin(cubic_root(a, b)))
    closed = lambda a, b: jnp.sum(jnp.sin((a / b) ** (1 / 3)))
    for ours, theirs in zip(jax.grad(total, (0, 1))(a, b), jax.grad(closed, (0, 1))(a, b), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    mapped = jax.vmap(jax.grad(cubic_root), (0, None))(a, 0.7)
    np.testing.assert_allclose(mapped, (a / 0.7) ** (1 / 3) / 3 / a, rtol=1e-12)
