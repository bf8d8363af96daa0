"""Operations: floating-point operations of what runs meanwhile, a multiply-add counted as two."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

# Torch knows the operations of fused attention on CUDA alone
FUSED_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, query, key, value, *_, **__: sdpa_backward_flop_count(gradient, query, key, value)
    ),
}


def counting_operations() -> FlopCounterMode:
    """A context; `get_total_flops()` tells afterwards."""
    return FlopCounterMode(display=False, custom_mapping=FUSED_ATTENTION)
