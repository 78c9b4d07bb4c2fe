"""Inverse design: a differentiable field solver in two dimensions and what is built on it."""
