"""Model families behind one seam. FAMILIES is imported by name of the family, so that a CNN needs no transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpc_nuvlm.config import Run
    from hpc_nuvlm.models.task import Task


def build_cnn(run: Run, num_views: int) -> Task:
    from hpc_nuvlm.models.cnn import CnnTask

    return CnnTask(run.model, num_views, len(run.data.classes))


def build_cvn(run: Run, num_views: int) -> Task:
    from hpc_nuvlm.models.cvn import CvnTask

    return CvnTask(run.model, num_views, len(run.data.classes))


def build_vit(run: Run, num_views: int) -> Task:
    from hpc_nuvlm.models.vit import build

    return build(run, num_views)


def build_vlm(run: Run, num_views: int) -> Task:
    from hpc_nuvlm.models.vlm.task import build

    return build(run, num_views)


FAMILIES = {
    "cnn": build_cnn,
    "cvn": build_cvn,
    "vit": build_vit,
    "vlm": build_vlm,
}


def build_task(run: Run, num_views: int) -> Task:
    """The model that a run asks for, with weights drawn from its seed: the same on every rank."""
    import torch

    torch.manual_seed(run.seed)
    return FAMILIES[run.model.family](run, num_views)
