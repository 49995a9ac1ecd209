"""A training process (`python -m torch.distributed.run … sharded_on_cpu.py DIR`) whose accelerate shards between CPUs.

Accelerate turns to FSDP only where it sees GPUs; torch's FSDP2 works on CPUs too. So it is told, once and before it
decides, that these processes are such.
"""

from __future__ import annotations

import sys
from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

from scale_reasoning.synth.train import main

decide = state.AcceleratorState.__init__


def told(self: Any, *args: Any, **more: Any) -> None:
    processes = state.PartialState(cpu=True)
    if not state.AcceleratorState._shared_state:
        processes._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    decide(self, *args, **more)


state.AcceleratorState.__init__ = told
main(sys.argv[1:])
