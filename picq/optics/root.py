"""Roots of scalar equations, element by element, with exact derivatives of every order."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def implicit_root(f: Callable[[Any, Any], Any], find: Callable[[Any], Any], args: Any) -> Any:
    """u with f(u, args) = 0.

    Derivatives follow from the equation, du = -(df/dargs dargs)/(df/du), not from the steps by which ``find`` came to
    u; the rule refers to the function itself, so that it holds for derivatives of derivatives.

    Args:
        f: element by element in u; u and the leaves of ``args`` broadcast. Closes over no traced value.
        find: from ``args`` to u, of the shape of f.
        args: tree of floating-point arrays.
    """
    return find(args)


@implicit_root.defjvp
def _root_jvp(f: Any, find: Any, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (args,), (moved,) = primals, tangents
    u = implicit_root(f, find, args)
    by_args = jax.jvp(lambda a: f(u, a), (args,), (moved,))[1]
    by_u = jax.jvp(lambda v: f(v, args), (u,), (jnp.ones_like(u),))[1]
    return u, -by_args / by_u
