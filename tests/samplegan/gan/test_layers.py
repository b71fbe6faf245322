"""What each layer does, and what it leaves alone."""

import torch

from samplegan.gan.layers import PhaseShuffle, SelfAttention, batch_deviation, coordinates


def test_attention_starts_as_nothing_and_then_looks_everywhere():
    torch.manual_seed(1)
    attention = SelfAttention(8)
    features = torch.randn(1, 8, 6, 5)
    torch.testing.assert_close(attention(features), features)
    attention.gate.data.fill_(1.0)
    changed = features.clone()
    changed[..., 0, 0] += 5.0
    assert (attention(changed) - attention(features))[..., 5, 4].abs().max() > 1e-4


def test_phase_shuffle_only_moves_frames():
    shuffle = PhaseShuffle(2)
    features = torch.arange(10.0).expand(64, 1, 1, 10)
    moved = shuffle(features)
    assert set(moved.unique().tolist()) <= set(range(10))
    starts = {int(row) for row in moved[:, 0, 0, 5]}
    assert starts == {3, 4, 5, 6, 7}
    torch.testing.assert_close(shuffle.eval()(features), features)


def test_batch_deviation_tells_a_collapsed_batch_from_a_varied_one():
    same = torch.randn(1, 3, 4, 4).expand(8, 3, 4, 4).clone().requires_grad_(True)
    plane = batch_deviation(same)[:, 3]
    assert plane.max() < 1e-3
    plane.sum().backward()
    assert torch.isfinite(same.grad).all()  # a bare square root would give NaN here
    assert batch_deviation(torch.randn(8, 3, 4, 4))[:, 3].min() > 0.5


def test_coordinates_name_every_cell_once():
    place = coordinates(32, 16)
    assert place.shape == (1, 2, 32, 16)
    assert torch.unique(place[0].flatten(1), dim=1).shape[1] == 32 * 16
    assert place.min() == -1.0 and place.max() == 1.0
