import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.simulate.relativity import (
    add,
    around,
    decay_momentum,
    from_rest,
    length,
    mass,
    on_shell,
    phase_space,
    square,
    to_rest,
    two_body,
)

component = st.floats(-5.0, 5.0)
momentum = st.tuples(st.floats(0.01, 3.0), component, component, component).map(lambda x: on_shell(*x))


@given(momentum, momentum)
def test_a_boost_and_its_inverse_cancel_and_keep_the_mass(p, frame):
    boosted = to_rest(p, frame)
    assert square(boosted) == pytest.approx(square(p), rel=1e-6, abs=1e-9)
    assert from_rest(boosted, frame) == pytest.approx(p, rel=1e-9, abs=1e-9)


@given(momentum)
def test_a_particle_is_at_rest_in_its_own_frame(p):
    assert to_rest(p, p) == pytest.approx((mass(p), 0.0, 0.0, 0.0), abs=1e-9 * p[0])


@given(st.tuples(component, component, component).filter(lambda v: length(v) > 1e-3), st.floats(-1.0, 1.0))
def test_a_direction_around_an_axis_has_the_asked_angle(axis, cosine):
    found = around(axis, cosine, 1.2)
    assert length(found) == pytest.approx(1.0, abs=1e-9)
    assert sum(a * b for a, b in zip(axis, found)) / length(axis) == pytest.approx(cosine, abs=1e-9)


def test_the_two_products_of_a_pion_at_rest_have_the_textbook_momentum():
    # pi+ -> mu+ nu: 29.79 MeV (Review of Particle Physics)
    assert decay_momentum(0.13957039, 0.1056583755, 0.0) == pytest.approx(0.02979, abs=1e-5)
    assert decay_momentum(0.1, 0.2, 0.0) == 0.0


@pytest.mark.parametrize("masses", [[0.14, 0.94], [0.14, 0.14, 0.94], [0.14, 0.14, 0.135, 0.5, 0.1]])
def test_phase_space_conserves_four_momentum_and_masses(masses):
    rng = np.random.default_rng(1)
    parent = on_shell(2.3, 0.4, -0.2, 3.0)
    for _ in range(50):
        products = phase_space(parent, masses, rng)
        assert add(*products) == pytest.approx(parent, abs=1e-12)
        assert [mass(p) for p in products] == pytest.approx(masses, abs=1e-7)


def test_three_massless_products_fill_the_dalitz_plot_evenly():
    """The square of a pair's mass is then triangular: density 2 (1 - x), mean 1/3."""
    rng = np.random.default_rng(2)
    pairs = [square(add(*phase_space((1.0, 0.0, 0.0, 0.0), [0.0, 0.0, 0.0], rng)[:2])) for _ in range(4000)]
    # Five sigma: the standard deviation of the density is 1 / sqrt(18)
    assert np.mean(pairs) == pytest.approx(1 / 3, abs=5 / math.sqrt(18 * 4000))
    assert np.var(pairs) == pytest.approx(1 / 18, rel=0.1)


def test_two_body_takes_the_given_direction_in_the_rest_frame():
    parent = on_shell(1.5, 0.0, 0.3, 1.0)
    first, second = two_body(parent, (0.3, 0.5), (0.0, 0.0, 1.0))
    assert add(first, second) == pytest.approx(parent)
    inside = to_rest(first, parent)
    assert inside[3] == pytest.approx(decay_momentum(1.5, 0.3, 0.5))
