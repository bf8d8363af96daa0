"""ZeRO engine: DeepSpeed, the only file that knows it.

Its configuration is derived here as a dict from Run and World, never read from a second file. Optimizer
state is read and written parameter by parameter, so that a checkpoint fits any world size and stage.
"""

from __future__ import annotations

import deepspeed
import torch
from deepspeed.ops import __compatible_ops__ as compatible_ops
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_get_local_fp32_param,
    safe_get_local_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
)

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.plain import adamw_state, build_optimizer, digest_of
from hpc_nuvlm.engine.state import MOMENTS, Tensors
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Batch

# Numbers summed over ranks at once; DeepSpeed's own
LARGEST_BUCKET = 500_000_000


def micro_batches_per_step(run: Run, world_size: int) -> int:
    """How often a rank computes `batch.per_rank` events to get through its share of a global batch."""
    share = -(-run.batch.global_size // world_size)
    return -(-share // run.batch.per_rank)


def deepspeed_config(run: Run, world: World, num_learned: int) -> dict:
    accumulation = micro_batches_per_step(run, world.size)
    return {
        "train_micro_batch_size_per_gpu": run.batch.per_rank,
        "gradient_accumulation_steps": accumulation,
        # DeepSpeed insists on the product; the padding of an uneven share is counted here, and masked in the loss.
        "train_batch_size": run.batch.per_rank * accumulation * world.size,
        "gradient_clipping": run.optimizer.max_grad_norm or 0.0,
        "bf16": {"enabled": run.engine.precision == "bf16"},
        "zero_optimization": {
            "stage": run.engine.stage,
            # Nothing is gained by overlap on a CPU, and the order of sums stays fixed without it.
            "overlap_comm": world.device.type == "cuda",
            # Buffers of this size are made whatever there is to sum: by default 1 GB, twice with overlap
            "reduce_bucket_size": min(LARGEST_BUCKET, num_learned),
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
    }


class ZeroEngine:
    def __init__(self, run: Run, task: Task, world: World):
        if world.device.type == "cpu":
            # Otherwise the first collective compiles a C++ extension, for 70 to 90 s.
            compatible_ops["deepspeed_shm_comm"] = False
        self.task = task
        self.world = world
        self.stage = run.engine.stage
        self.accumulation = micro_batches_per_step(run, world.size)
        self.engine, *_ = deepspeed.initialize(
            model=task,
            optimizer=build_optimizer(task, run),
            config=deepspeed_config(run, world, sum(parameter.numel() for parameter in task.trainable().values())),
            dist_init_required=False,
        )
        self._make_state(step=0)

    def backward(self, batch: Batch, num_valid: int) -> torch.Tensor:
        losses = self.engine(batch)
        share = torch.where(batch.valid_B, losses, 0).sum() / num_valid
        # DeepSpeed averages over ranks and micro-batches; this loss is a part of the sum already.
        self.engine.backward(share * self.world.size * self.accumulation)
        if not self.engine.is_gradient_accumulation_boundary():
            self.engine.step()
        return losses.detach()

    def step(self, learning_rate: float) -> None:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = learning_rate
        self.engine.step()

    def tensors(self) -> Tensors:
        values, moments = {}, {}
        for name, parameter in self.task.trainable().items():
            values[name] = self._value(parameter).cpu().clone()
            moments[name] = {kind: self._moment(parameter, kind).cpu().clone() for kind in MOMENTS}
        return Tensors(values, moments)

    def weights_digest(self) -> str | None:
        return None if self.stage == 3 else digest_of(self.task)

    def restore(self, tensors: Tensors, step: int) -> None:
        """Weights must be in the task already, before DeepSpeed copied them; this adds full precision and moments."""
        self._make_state(step)
        for name, parameter in self.task.trainable().items():
            self._set(parameter, tensors.values[name], None)
            for kind, value in tensors.moments[name].items():
                self._set(parameter, value, kind)

    # DeepSpeed keeps the state of a parameter in one of three ways: stage 3 by parameter but only a part on each
    # rank, stages 1, 2 and bf16 as fragments of a flat buffer, stage 0 in fp32 in the torch optimizer itself.

    @property
    def _torch_optimizer(self) -> torch.optim.Optimizer:
        return getattr(self.engine.optimizer, "optimizer", self.engine.optimizer)

    def _flat_parameters(self) -> list[torch.Tensor]:
        if hasattr(self.engine.optimizer, "fp32_partitioned_groups_flat"):
            return self.engine.optimizer.fp32_partitioned_groups_flat
        return [parameter for group in self._torch_optimizer.param_groups for parameter in group["params"]]

    def _make_state(self, step: int) -> None:
        """Zero moments for everything: DeepSpeed would link them when only its first parameter group has stepped."""
        for parameter in self._flat_parameters():
            self._torch_optimizer.state[parameter] = adamw_state(parameter, step)
        link = getattr(self.engine.optimizer, "_lazy_init_hp_params_optimizer_state", None)
        if link is not None:
            self.engine.optimizer._hp_optimizer_states_linked = False
            link()

    def _value(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        value = safe_get_full_fp32_param(parameter)
        return parameter.detach() if value is None else value.view(_full_shape(parameter))

    def _moment(self, parameter: torch.nn.Parameter, kind: str) -> torch.Tensor:
        value = safe_get_full_optimizer_state(parameter, kind)
        return self._torch_optimizer.state[parameter][kind] if value is None else value.view(_full_shape(parameter))

    def _set(self, parameter: torch.nn.Parameter, value: torch.Tensor, kind: str | None) -> None:
        value = value.to(self.world.device)
        if hasattr(parameter, "ds_id"):
            self._set_local(parameter, value, kind)
        elif hasattr(parameter, "_hp_mapping"):
            if kind is None:
                safe_set_full_fp32_param(parameter, value)
            else:
                safe_set_full_optimizer_state(parameter, value, kind)
        elif kind is None:
            parameter.data.copy_(value)
        else:
            self._torch_optimizer.state[parameter][kind].copy_(value)

    def _set_local(self, parameter: torch.nn.Parameter, value: torch.Tensor, kind: str | None) -> None:
        """Stage 3: this rank's slice of the flattened value, whose last slice is padded."""
        local = (
            safe_get_local_fp32_param(parameter) if kind is None else safe_get_local_optimizer_state(parameter, kind)
        )
        padded = torch.zeros(local.numel() * self.world.size, device=local.device)
        padded[: value.numel()] = value.flatten()
        mine = padded[local.numel() * self.world.rank :][: local.numel()].view_as(local)
        if kind is None:
            safe_set_local_fp32_param(parameter, mine)
        else:
            safe_set_local_optimizer_state(parameter, mine, kind)


def _full_shape(parameter: torch.nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
