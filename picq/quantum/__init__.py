"""Quantum light from photonic circuits: photon pairs, their joint spectrum and what detectors see of them."""
