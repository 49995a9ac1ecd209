"""How good assessors are: whether a step's difficulty says that System 1 fails on it."""
