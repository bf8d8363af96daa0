import torch
from torch import nn

from hpc_nuvlm.families import Cnn
from hpc_nuvlm.models.cnn import CnnTask
from hpc_nuvlm.sample import Batch


def make_batch(num_views: int, size: int = 24) -> Batch:
    image = torch.randint(
        0, 256, (4, num_views, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Batch(image, torch.tensor([0, 1, 2, 0]), torch.ones(4, dtype=torch.bool), tuple("abcd"))


def test_any_number_of_views_shares_one_tower():
    counts = []
    for num_views in (1, 2, 3, 5):
        task = CnnTask(Cnn(widths=(8, 16), hidden=8), num_views, 3)
        assert task.predict(make_batch(num_views)).log_probability_BC.shape == (4, 3)
        counts.append(sum(p.numel() for p in task.members[0].tower.parameters()))
    assert len(set(counts)) == 1


def test_the_siamese_tower_sees_each_view_alike():
    """With a head that is symmetric in the views, exchanging two of them changes nothing."""
    task = CnnTask(Cnn(widths=(8,), hidden=8, dropout=0), 2, 3).eval()
    with torch.no_grad():
        weight = task.members[0].head[1].weight
        weight.copy_(weight[:, : weight.shape[1] // 2].repeat(1, 2))
        batch = make_batch(2)
        swapped = Batch(batch.image_BVHW.flip(1), batch.label_B, batch.valid_B, batch.keys)
        first, second = (task.predict(b).log_probability_BC for b in (batch, swapped))
        assert torch.allclose(first, second, atol=1e-5)


def test_flops_equal_those_counted_by_hand():
    task = CnnTask(Cnn(widths=(8,), hidden=8), 1, 3)
    batch = make_batch(1).part(0, 1)
    stem = 2 * 12 * 12 * 8 * 1 * 25  # 24 pixels, stride 2; multiply and add
    conv1 = conv2 = 2 * 6 * 6 * 8 * 8 * 9
    head = 2 * 16 * 8 + 2 * 8 * 3
    assert task.flops(batch) == stem + conv1 + conv2 + head  # the shortcut keeps its channels: no convolution


def test_label_smoothing_is_that_of_torch():
    smooth = CnnTask(Cnn(widths=(8,), hidden=8, dropout=0, label_smoothing=0.1), 1, 3).eval()
    batch = make_batch(1)
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(smooth.members[0](batch.image_BVHW), batch.label_B)
    assert torch.allclose(smooth.loss(batch).mean(), expected)


def test_members_start_apart_learn_alone_and_are_averaged_as_probabilities():
    torch.manual_seed(0)
    task = CnnTask(Cnn(widths=(8,), hidden=8, dropout=0, members=3), 2, 3).eval()
    batch = make_batch(2)
    alone = [torch.softmax(member(batch.image_BVHW), -1) for member in task.members]
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    assert torch.allclose(task.predict(batch).log_probability_BC.exp(), sum(alone) / 3, atol=1e-6)
    each = [
        nn.functional.cross_entropy(member(batch.image_BVHW), batch.label_B, reduction="none")
        for member in task.members
    ]
    assert torch.allclose(task.loss(batch), sum(each) / 3)
