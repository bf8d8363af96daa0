import pytest

from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.simulate.chain import Simulator
from hpc_nuvlm.simulate.settings import Interactions, Response, Simulation
from hpc_nuvlm.simulate.variants import NOMINAL, VARIANTS, expand, in_use, vary

PAPER = load_detector("paper_lartpc", detector_folder())


def test_without_variants_there_is_one_readout_as_set():
    response = Response(kind="wires", variant="gain_low")
    assert expand(response) == {NOMINAL: response}


def test_all_is_nominal_and_every_variant_that_changes_the_readout():
    wires = expand(Response(kind="wires", variants=("all",)))
    assert list(wires) == [NOMINAL, *VARIANTS]
    voxels = expand(Response(kind="voxels", recombination="none", lifetime_us=None, variants=("all",)))
    assert set(VARIANTS) - set(voxels) == {
        *("recombination_high", "recombination_low", "recombination_none", "field_low", "lifetime_infinite"),
        *("noise_double", "noise_hits_100", "threshold_double"),
    }
    for readouts in (wires, voxels):
        used = [repr(in_use(vary(one))) for one in readouts.values()]
        assert len(set(used)) == len(used)


def test_named_variants_are_those_of_response_variant():
    named = expand(Response(variants=("nominal", "gain_low")))
    assert named == {NOMINAL: Response(), "gain_low": Response(variant="gain_low")}


def test_one_name_needs_no_list():
    assert Response(variants="all") == Response(variants=("all",))


def test_all_beside_another_name_is_refused():
    with pytest.raises(ConfigError, match="name nothing beside it"):
        expand(Response(variants=("all", "gain_low")))


def test_variant_and_variants_exclude_each_other():
    with pytest.raises(ValueError, match="leave out one"):
        Response(variant="gain_low", variants=("gain_high",))


def simulator(**response) -> Simulator:
    interactions = Interactions(bombs={"particles": {13: 1.0}, "most": 1, "high_mev": 300.0})
    return Simulator(Simulation(detector="paper_lartpc", interactions=interactions, response=response), PAPER)


def test_an_unknown_name_among_several_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'gain_high'"):
        simulator(variants=("nominal", "gain_hihg"))


@pytest.mark.slow
def test_each_event_is_read_out_by_one_of_the_variants_and_says_by_which():
    several, plain = simulator(variants=("nominal", "gain_low", "gain_high")), simulator()
    factor = {"nominal": 1.0, "gain_low": 0.8, "gain_high": 1.2}
    drawn = []
    for number in range(40):
        varied, nominal = several.event(number), plain.event(number)
        drawn.append(varied.truth.facts["variant"])
        assert "variant" not in nominal.truth.facts
        # The choice is drawn after the event has happened, so that the event stays the same
        assert varied.truth.vertex_mm == nominal.truth.vertex_mm
        assert varied.truth.facts["visible_energy_mev"] == nominal.truth.facts["visible_energy_mev"]
        expected = factor[drawn[-1]] * nominal.hits.charge.sum()
        # Diffusion is drawn anew: charge near the edge of the volume may or may not leave it
        assert varied.hits.charge.sum() == pytest.approx(expected, rel=0.05)
    assert set(drawn) == set(factor)
    assert [several.event(number).truth.facts["variant"] for number in range(40)] == drawn
