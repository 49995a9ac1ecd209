"""The arithmetic domain: generated problems, their words, their solutions, and a teacher that knows these.

The dataset and the teacher's engine use this package; it knows neither.
"""
