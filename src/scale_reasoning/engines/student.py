"""The student: SmolLM2 and the adapter of this package, merged into one file.

Merged once, into the cache, in 8 bits: llama.cpp would apply an adapter at every token, and computes more slowly with
the model's own 4 bits. What the adapter has learned is in docs/student.md.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from scale_reasoning.engines import cached
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import Reporter, cache
from scale_reasoning.engines.fetching import fetch as fetch_model
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import workspace

ADAPTER = Path(__file__).with_name("student.gguf")
_NOT_COPIED = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type")


def fetch(reporter: Reporter | None = None) -> Path:
    """The student's file, made in the cache if it is missing or damaged.

    Raises `ConfigError`, also when `reporter.stop` is set.
    """
    reporter = reporter or Reporter()
    if not ADAPTER.exists():
        raise ConfigError("the student's adapter is not in this package: make it with `make student` (docs/student.md)")
    base = fetch_model(SMOLLM2, reporter)
    target = find_target()
    if not cached.is_whole(target, cache()):
        reporter.say(f"merging the model and its adapter (145 MB, once) into {target}")
        merge(base, ADAPTER, target, reporter.stop)
        with suppress(OSError):  # it was there a moment ago
            cached.remember(target, cache())
    return target


def find_target() -> Path:
    """Where the merged file is, or would be; its name has both hashes. Raises OSError if there is no adapter."""
    adapter = hashlib.sha256(ADAPTER.read_bytes()).hexdigest()
    return cache() / f"student-{SMOLLM2.sha256[:8]}-{adapter[:8]}.gguf"


def merge(base: Path, adapter: Path, target: Path, stop: Event | None = None) -> None:
    """Writes `target` atomically: every matrix W of `base` as W + alpha / rank · B A, in 8 bits. All files are GGUF.

    Raises ConfigError, also when `stop` is set.
    """
    gguf = _gguf()
    reader = gguf.GGUFReader(base)
    changes = _changes(gguf, adapter)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with workspace(target.parent, ".student-") as folder:
            writer = gguf.GGUFWriter(str(folder / "merged"), "llama")
            _copy_facts(gguf, reader, writer)
            for tensor in reader.tensors:
                if stop is not None and stop.is_set():
                    raise ConfigError("merging the model and its adapter was interrupted")
                weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                if tensor.name in changes:
                    weights = weights + changes[tensor.name]()
                kind = gguf.GGMLQuantizationType.Q8_0 if weights.ndim == 2 else gguf.GGMLQuantizationType.F32
                writer.add_tensor(tensor.name, gguf.quants.quantize(weights, kind), raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            (folder / "merged").replace(target)
    except OSError as error:
        raise ConfigError(f"the student could not be stored in {target.parent}: {error}") from error


def _changes(gguf: Any, adapter: Path) -> Mapping[str, Callable[[], Any]]:
    """What the adapter adds to each matrix, by its name."""
    reader = gguf.GGUFReader(adapter)
    parts = {tensor.name: tensor.data for tensor in reader.tensors}
    alpha = reader.fields["adapter.lora.alpha"].contents()

    def change(name: str) -> Callable[[], Any]:
        down, up = (parts[f"{name}.lora_{part}"].astype("float32") for part in "ab")
        return lambda: (alpha / len(down)) * (up @ down)

    return {name: change(name) for name in {part.rpartition(".lora_")[0] for part in parts}}


def _copy_facts(gguf: Any, reader: Any, writer: Any) -> None:
    """The tokenizer, the chat template and the model's shape."""
    for field in reader.fields.values():
        if field.name not in _NOT_COPIED:
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], inner)


def _gguf() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError:
        raise ConfigError("the student needs gguf: pip install 'scale-reasoning[local]'") from None
