"""picq: photonic chips from specification to signed-off GDS. Importing it loads nothing heavy."""

__version__ = "0.1.0"
