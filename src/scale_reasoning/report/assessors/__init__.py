"""How good assessors are: does a step's difficulty say whether System 1 fails on it?"""
