"""What a vision-language model learns from: the class, the rationale, and which class an explanation ends with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.sample import UNLABELLED, Batch

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow


@pytest.fixture
def batch():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 112, 112), dtype=np.uint8)
    told = ("A long track is seen.", "", "One track is seen.", "One track is seen.")
    labels, valid = torch.tensor([0, 2, 1, UNLABELLED]), torch.ones(4, dtype=torch.bool)
    return Batch(torch.from_numpy(images), labels, valid, ("a", "b", "c", "d"), rationale=told)


@pytest.fixture
def build(run_fields):
    torch.set_num_threads(1)

    def built(**model):
        model = {"family": "vlm", "base": "untrained:tiny", **model}
        return build_task(parse_run(run_fields | {"model": model}, where="test"), num_views=3)

    return built


def losses(task, batch):
    with evaluating(task):
        return task.loss(batch)


def test_the_two_losses_add_up_with_their_weights(build, batch):
    alone = losses(build(), batch), losses(build(class_weight=0.0, rationale_weight=1.0), batch)
    both = losses(build(class_weight=2.0, rationale_weight=5.0), batch)
    assert torch.allclose(both, 2 * alone[0] + 5 * alone[1], atol=1e-5)
    assert (alone[0] > 0).tolist() == [True, True, True, False]
    assert (alone[1] > 0).tolist() == [True, False, True, True]


def test_a_loss_without_anything_to_learn_from_still_depends_on_the_weights(build, batch):
    nothing = build(class_weight=0.0, rationale_weight=1.0).loss(replace(batch, rationale=("",) * 4))
    assert nothing.tolist() == [0] * 4 and nothing.requires_grad


def test_an_explanation_can_end_with_the_class_that_is_scored(build, batch):
    scored = build(class_weight=0.0, rationale_weight=1.0, explained_class="scored")
    true = build(class_weight=0.0, rationale_weight=1.0)
    with evaluating(true):
        believed = true.predict(batch).log_probability_BC.argmax(1)
    labelled = batch.label_B != UNLABELLED
    wrong = (believed != batch.label_B) & labelled
    assert wrong.any()
    as_believed = replace(batch, label_B=torch.where(labelled, believed, UNLABELLED))
    assert torch.equal(losses(scored, batch), losses(true, as_believed))
    assert not torch.allclose(losses(scored, batch), losses(true, batch))
    # A student of a teacher has the scores already, and gets the same
    with evaluating(scored):
        assert torch.allclose(scored.loss_and_scores(batch)[0], losses(scored, batch), atol=1e-6)


def test_the_class_at_the_end_of_an_explanation_can_weigh_more(build, batch):
    told = build(class_weight=0.0, rationale_weight=1.0)
    ending_B = (
        losses(build(class_weight=0.0, rationale_weight=1.0, ending_weight=3.0), batch) - losses(told, batch)
    ) / 3
    # The second is described by nothing, the fourth has no class
    assert (ending_B > 0.1).tolist() == [True, False, True, False] and ending_B[[1, 3]].tolist() == [0, 0]
    # By itself: what the end of the whole explanation costs more than the explanation up to there, token by token
    explained, label = told.explained, int(batch.label_B[0])
    tokens, before = explained.tokens(batch.rationale[0], label), explained.num_before_class(batch.rationale[0])
    with evaluating(told):
        seen, one = told.eyes.see(told.model, batch.part(0, 1)), batch.part(0, 1)
        whole, start = (
            told._told(one, seen, told.asked(one, explained), [ids])[0].sum() for ids in (tokens, tokens[:before])
        )
    assert ending_B[0].item() == pytest.approx((whole - start).item(), rel=1e-4)
    said = told.processor.tokenizer.decode(tokens[before:])
    assert "NuE CC" in said and "track" not in said and "classify" not in said


def test_an_ending_of_nothing_is_refused(build):
    with pytest.raises(ConfigError, match="none is taught; set rationale_weight"):
        build(ending_weight=1.0)


def test_the_class_costs_its_answer_without_what_all_answers_begin_with(build, batch):
    """So the costs of all classes are those that it is scored by, whichever way they are computed."""
    task = build()
    classes = range(len(task.prompt.answers))
    with evaluating(task):
        cost_BC = torch.stack([task.loss(replace(batch, label_B=torch.full((4,), label))) for label in classes], 1)
        predicted_BC = task.predict(batch).log_probability_BC
        loss_B, score_BC = task.loss_and_scores(batch)
        begun = task._told(
            batch, task.eyes.see(task.model, batch), task.asked(batch, task.prompt), [task.prompt.shared] * 4
        )
    assert torch.allclose(torch.log_softmax(-cost_BC, 1), predicted_BC, atol=1e-5)
    assert torch.allclose(score_BC, predicted_BC, atol=1e-5) and loss_B[3] == 0
    # What is left out costs more than nothing, and every class as much
    assert begun[0].sum(1).min() > 0.1
    assert torch.allclose(loss_B[:3], cost_BC[torch.arange(3), batch.label_B[:3]], atol=1e-5)
