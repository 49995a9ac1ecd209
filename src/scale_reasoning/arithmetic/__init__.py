"""The arithmetic domain: problems made on the spot, their words, their truth, and a teacher that knows it.

The dataset and the teacher's engine stand on this room; it knows neither.
"""
