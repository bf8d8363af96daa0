"""Shadow: a training step on tensors that have shapes and no memory, counted while it runs.

Torch's fake tensors carry shapes through the very code that trains, so that nothing here has to know a model's layers:
an 11 B model is stepped through on a laptop, from its config.json alone.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hpc_nuvlm.models.operations import counting_operations
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Batch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# NF4: 4 bits a weight; for every 64 an 8-bit scale, for every 256 of those a 32-bit one (arXiv:2305.14314, section 3)
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)


@dataclass(frozen=True)
class Step:
    """Of forward and backward of one micro-batch on one rank."""

    num_events: int
    # Beyond weights, in bytes: the most at one time, and what is left at the end (gradients)
    peak_bytes: int
    gradient_bytes: int
    flops: int


@dataclass(frozen=True)
class Weights:
    """Numbers of parameters: those that are learned, and frozen ones as they are stored."""

    learned: int
    frozen: int
    # Of the frozen ones, those stored in NF4, and of these the largest layer, which is unpacked to be used
    nf4: int
    largest_nf4: int


def hollow(build) -> Task:
    """What `build()` returns, on torch's meta device: shapes, no weights, nothing read or drawn."""
    with torch.device("meta"):
        return build()


def count_weights(task: Task, nf4: bool) -> Weights:
    learned = {id(parameter) for parameter in task.trainable().values()}
    total = sum(parameter.numel() for parameter in task.parameters())
    packed = [module.weight.numel() for module in packed_layers(task) if nf4 and id(module.weight) not in learned]
    num_learned = sum(parameter.numel() for parameter in task.trainable().values())
    return Weights(num_learned, total - num_learned, sum(packed), max(packed, default=0))


def packed_layers(task: Task) -> list[nn.Linear]:
    """The layers that transformers stores in NF4: all linear ones but the adapters' and the one that names tokens."""
    skipped = ("lora_A", "lora_B", "lm_head")
    named = task.named_modules()
    return [
        module
        for name, module in named
        if isinstance(module, nn.Linear) and not any(part in name.split(".") for part in skipped)
    ]


def step(task: Task, batch: Batch, precision: str) -> Step:
    """One step of a task from `hollow`, in fp32 or bf16. The batch is a real one."""
    # The number of views decides shapes, so it must stay a number
    views = torch.full((len(batch.keys),), batch.image_BVHW.shape[1])
    batch = replace(batch, num_views_B=views)
    live = Live()
    with FakeTensorMode(allow_non_fake_inputs=True):
        give_shadows(task, DTYPES[precision])
        live.leave_out([*task.parameters(), *task.buffers()])
        with counting_operations() as flops, live:
            task.train()
            task.loss(batch).sum().backward()
        gradients = sum(one.grad.nbytes for one in task.parameters() if one.grad is not None)
    return Step(len(batch.keys), live.peak_bytes, gradients, flops.get_total_flops())


def give_shadows(task: Task, dtype: torch.dtype) -> None:
    """Fake tensors on the CPU in the place of those on the meta device, on which code may not ask for a device."""
    for module in task.modules():
        for name, old in list(module._parameters.items()):
            if old is not None:
                new = torch.empty(old.shape, dtype=dtype if old.is_floating_point() else old.dtype)
                module._parameters[name] = nn.Parameter(new, requires_grad=old.requires_grad)
        for name, old in list(module._buffers.items()):
            if old is not None:
                module._buffers[name] = torch.empty(old.shape, dtype=old.dtype)


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, views once with what they view."""

    def __init__(self):
        super().__init__()
        self.bytes_of: dict[int, int] = {}
        self.now_bytes = self.peak_bytes = 0

    def leave_out(self, tensors: list[torch.Tensor]) -> None:
        self.bytes_of.update({tensor.untyped_storage()._cdata: 0 for tensor in tensors})

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._meet(leaf.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.bytes_of:
            return
        self.bytes_of[key] = storage.nbytes()
        self.now_bytes += self.bytes_of[key]
        self.peak_bytes = max(self.peak_bytes, self.now_bytes)
        weakref.finalize(storage, self._part, key)

    def _part(self, key: int) -> None:
        self.now_bytes -= self.bytes_of.pop(key)


def measured_tflops(precision: str, size: int = 1024, repeats: int = 8) -> float:
    """10**12 operations a second of one thread of this CPU, on a matrix product."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrix = torch.ones(size, size, dtype=DTYPES[precision])
        matrix @ matrix
        started_s = time.perf_counter()
        for _ in range(repeats):
            matrix @ matrix
        return 2 * size**3 * repeats / (time.perf_counter() - started_s) / 1e12
    finally:
        torch.set_num_threads(threads)
