import numpy as np
import pytest

from hpc_nuvlm.errors import ConfigError, FormatError
from hpc_nuvlm.simulate.flux import Spectrum, read_csv
from hpc_nuvlm.simulate.settings import Flux


def draws(spectrum, count=20000):
    rng = np.random.default_rng(3)
    return np.array([spectrum.draw(rng) for _ in range(count)])


def test_a_uniform_flux_is_flat_between_its_limits():
    energies = draws(Spectrum(Flux(low_gev=1.0, high_gev=5.0)))
    assert energies.min() >= 1.0
    assert energies.max() <= 5.0
    # Five sigma of mean and variance
    assert energies.mean() == pytest.approx(3.0, abs=5 * 4 / np.sqrt(12 * 20000))
    assert energies.var() == pytest.approx(16 / 12, rel=0.04)


def test_a_power_law_has_its_exact_median():
    energies = draws(Spectrum(Flux(kind="power_law", index=-2.0, low_gev=0.5, high_gev=50.0)))
    # Cumulative of E^-2: (1/low - 1/E) / (1/low - 1/high)
    median = 1.0 / (0.5 * (1 / 0.5 + 1 / 50))
    assert np.mean(energies < median) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(20000))


def test_a_table_is_followed_and_a_weight_multiplies_it(tmp_path):
    path = tmp_path / "flux.csv"
    path.write_text("energy_gev,flux\n# a comment\n0,0\n1,2\n3,0\n")
    energies = draws(Spectrum(Flux(kind="csv", file=path)))
    # A triangle from 0 over 1 to 3 has mean 4/3, and a third of it lies below 1
    assert energies.mean() == pytest.approx(4 / 3, abs=0.03)
    assert np.mean(energies < 1.0) == pytest.approx(1 / 3, abs=0.02)
    heavier = draws(Spectrum(Flux(kind="csv", file=path), lambda energy: energy))
    # Mean of E^2 over mean of E of the triangle: 13/6 over 4/3
    assert heavier.mean() == pytest.approx(13 / 8, abs=0.03)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n2,x\n", "line 2: '2,x' is not numbers"),
        ("1,2\n2,3,4\n", "line 2"),
        ("1,2\n1,3\n", "line 2: energy 1 GeV does not exceed"),
        ("1,2\n2,-3\n", "line 2: '2,-3'; energy and flux must not be negative"),
        ("1,2\n2,nan\n", "line 2"),
        ("energy,flux\n1,2\n", "1 rows"),
        ("1,0\n2,0\n", "flux is 0 at all"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    path = tmp_path / "flux.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_csv(path)


def test_a_line_of_names_may_be_in_any_encoding(tmp_path):
    path = tmp_path / "flux.csv"
    path.write_bytes("Énergie,flux\n1,2\n2,3\n".encode("latin-1"))
    assert read_csv(path)[0].tolist() == [1.0, 2.0]


def test_settings_that_make_no_events_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"flux.file is not set"):
        Spectrum(Flux(kind="csv"))
    with pytest.raises(ConfigError, match="low_gev"):
        Spectrum(Flux(low_gev=5.0, high_gev=2.0))
    with pytest.raises(ConfigError, match="has no end"):
        Spectrum(Flux(kind="power_law", index=-2.0))
    with pytest.raises(ConfigError, match="no event is possible"):
        Spectrum(Flux(), lambda energy: np.zeros_like(energy))


def test_a_table_is_used_to_its_end_unless_a_limit_is_set(tmp_path):
    table = tmp_path / "flux.csv"
    table.write_text("0,1\n40,1\n")
    assert 39 < draws(Spectrum(Flux(kind="csv", file=table))).max() <= 40
    assert 19 < draws(Spectrum(Flux(kind="csv", file=table, high_gev=20.0))).max() <= 20
    assert 9 < draws(Spectrum(Flux())).max() <= 10
