"""Writes the trained adapter as the file that llama.cpp reads: GGUF, 16 bits.

Decides names and layout: llama.cpp orders the rows of queries and keys differently from transformers.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import AutoConfig

from student.train import ALPHA, base

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def export(adapter: Path, file: Path) -> None:
    """Writes `file` from an adapter's folder."""
    config = AutoConfig.from_pretrained(base())
    heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, ALPHA)
    for name, tensor in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        layer, _, rest = name.removeprefix("base_model.model.model.layers.").partition(".")
        place, _, part = rest.removesuffix(".weight").rpartition(".lora_")
        if part == "B" and place in heads:
            tensor = _as_llama_cpp_has_it(tensor, heads[place])
        writer.add_tensor(f"blk.{layer}.{NAMES[place]}.weight.lora_{part.lower()}", tensor.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _as_llama_cpp_has_it(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Interleaves the two halves of each head's rows."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)
