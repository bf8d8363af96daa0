import pytest

from hpc_nuvlm.bench.energy import UNAVAILABLE, Counter, read_counters, spent, told


@pytest.fixture
def powercap(tmp_path):
    """As Linux shows two packages, a part of one, and a zone that only root may read."""
    for name, joules in {"intel-rapl:0": 5_000_000, "intel-rapl:1": 7_000_000, "intel-rapl:0:0": 1_000_000}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{joules}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("100000000\n")
    (tmp_path / "intel-rapl:2").mkdir()
    return tmp_path


def test_packages_are_read_and_their_parts_are_not_counted_twice(powercap):
    counters = read_counters(powercap=powercap)
    assert [(counter.name, counter.joules) for counter in counters] == [("intel-rapl:0", 5.0), ("intel-rapl:1", 7.0)]


def test_what_was_spent_is_the_difference_and_a_counter_that_began_again_is_understood(powercap):
    before = read_counters(powercap=powercap)
    (powercap / "intel-rapl:0" / "energy_uj").write_text("9000000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("2000000\n")
    joules = spent(before, read_counters(powercap=powercap))
    assert joules == {"intel-rapl:0": 4.0, "intel-rapl:1": pytest.approx(95.0)}
    assert told(joules, 10) == pytest.approx(9.9)


def test_without_counters_nothing_is_guessed(tmp_path):
    assert read_counters(bus_ids=["0000:00:00.0"], powercap=tmp_path / "none") == ()
    assert told(spent((), ()), 10) == UNAVAILABLE
    assert spent((Counter("a", 1.0),), (Counter("b", 2.0),)) == {}
