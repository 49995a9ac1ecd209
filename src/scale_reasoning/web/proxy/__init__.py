"""SCALE as a model name: an OpenAI-compatible server in front of one model."""
