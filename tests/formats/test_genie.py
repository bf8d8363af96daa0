"""GENIE's gst and gRooTracker files: real ones, against what they say of themselves, and every refusal."""

import math
import subprocess
import sys
from collections import Counter

import awkward
import numpy as np
import pytest
import uproot

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats import genie_gst, genie_gtrac, genie_tree
from hpc_nuvlm.formats.genie import open_interactions, read_interaction
from nuvlm_kernels.particles import PDG

GST, GTRAC = "genie_c12_small.gst.root", "genie_nue_1000.gtrac.root"
# What transport does not follow: neutrinos, nuclei and GENIE's own, then what must decay first
NOT_FOLLOWED = {12, -12, 14, -14, 1000060120, 2000000101}
# Electric charge in units of e, for all particles of both files
CHARGES = {
    2212: 1,
    211: 1,
    -211: -1,
    213: 1,
    -213: -1,
    13: -1,
    -13: 1,
    11: -1,
    -11: 1,
    321: 1,
    -321: -1,
    3222: 1,
    4122: 1,
    3112: -1,
}


def columns_of(path, tree: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns straight from uproot, past our reader."""
    with uproot.open(path) as file:
        return {name: file[tree][name].array(library="np") for name in names}


@pytest.fixture(scope="module")
def gst_path(test_data):
    return test_data / "generators" / GST


@pytest.fixture(scope="module")
def gtrac_path(test_data):
    return test_data / "generators" / GTRAC


@pytest.fixture(scope="module")
def gst(gst_path):
    with open_interactions(gst_path) as file:
        return [file[entry] for entry in range(len(file))]


@pytest.fixture(scope="module")
def gtrac(gtrac_path):
    with open_interactions(gtrac_path) as file:
        return [file[entry] for entry in range(len(file))]


def test_energy_and_momentum_of_all_gst_events_are_the_files(gst_path, gst):
    names = ("El", "pxl", "pyl", "pzl", "Ef", "pxf", "pyf", "pzf", "pdgf")
    file = columns_of(gst_path, "gst", names)
    assert len(gst) == 182
    for entry, event in enumerate(gst):
        energy = file["El"][entry] + file["Ef"][entry].sum()
        assert event.energy_mev.sum() == pytest.approx(energy * 1000, rel=1e-12)
        for axis, name in enumerate("xyz"):
            momentum = file[f"p{name}l"][entry] + file[f"p{name}f"][entry].sum()
            assert event.momentum_mev[:, axis].sum() == pytest.approx(momentum * 1000, rel=1e-9, abs=1e-9)
        assert event.pdg[1:].tolist() == file["pdgf"][entry].tolist()
        assert not event.position_mm.any() and not event.time_ns.any()


def test_energy_and_momentum_of_all_rootracker_events_are_the_files(gtrac_path, gtrac):
    file = columns_of(gtrac_path, "gRooTracker", ("StdHepPdg", "StdHepStatus", "StdHepP4"))
    assert len(gtrac) == 1000
    for entry, event in enumerate(gtrac):
        final = file["StdHepStatus"][entry] == 1
        expected = file["StdHepP4"][entry][final] * 1000
        assert np.array_equal(event.pdg, file["StdHepPdg"][entry][final])
        np.testing.assert_allclose(event.momentum_mev, expected[:, :3], rtol=1e-12)
        np.testing.assert_allclose(event.energy_mev, expected[:, 3], rtol=1e-12)
        assert sum(energy for _, energy in event.final_state) * 1000 == pytest.approx(expected[:, 3].sum())


def test_rootracker_events_conserve_four_momentum_as_far_as_the_file_does(gtrac_path, gtrac):
    """Initial state = what enters transport + remnant (status 15), to 1 MeV, but for 25 events of 1,000.

    In those GENIE itself did not: its cascade took or left momentum (QES and RES with several reinteractions).
    """
    file = columns_of(gtrac_path, "gRooTracker", ("StdHepStatus", "StdHepP4"))
    missing = []
    for entry, event in enumerate(gtrac):
        status, vectors = file["StdHepStatus"][entry], file["StdHepP4"][entry]
        known = np.append(event.momentum_mev.sum(axis=0), event.energy_mev.sum()) / 1000
        missing.append(np.abs(vectors[status == 0].sum(axis=0) - vectors[status == 15].sum(axis=0) - known).max())
    assert (np.array(missing) > 1e-3).sum() == 25 and max(missing) < 0.2


def test_charge_is_conserved_from_the_struck_nucleons_to_lepton_and_hadrons(gst_path, gst, gtrac_path, gtrac):
    """Before the hadrons reinteract, with the leptons of charm decays; the remnant's charge is in neither file."""
    file = columns_of(gst_path, "gst", ("hitnuc", "pdgi"))
    for entry, event in enumerate(gst):
        leptons = [code for code in event.pdg.tolist() if abs(code) in (11, 13)]
        total = sum(CHARGES.get(code, 0) for code in leptons + file["pdgi"][entry].tolist())
        assert total == CHARGES.get(int(file["hitnuc"][entry]), 0), entry
    file = columns_of(gtrac_path, "gRooTracker", ("StdHepPdg", "StdHepStatus"))
    nucleons = {2212: 1, 2000000201: 1, 2000000202: 2}
    for entry, event in enumerate(gtrac):
        pdg, status = file["StdHepPdg"][entry], file["StdHepStatus"][entry]
        if event.mode == "coh":
            continue
        struck = nucleons.get(int(pdg[status == 11][0]), 0)
        hadrons = sum(CHARGES.get(code, 0) for code in pdg[status == 14].tolist())
        assert CHARGES.get(int(event.pdg[0]), 0) + hadrons == struck, entry


def test_gst_kinematics_are_the_files_own(gst_path, gst):
    file = columns_of(gst_path, "gst", ("Q2", "W", "y", "Ev", "El", "neu", "tgt", "cc"))
    for name, ours in (("Q2", "q2_gev2"), ("y", "inelasticity"), ("Ev", "nu_energy_gev"), ("El", "lepton_energy_gev")):
        np.testing.assert_allclose([getattr(event, ours) for event in gst], file[name], rtol=1e-9, atol=1e-9)
    ours = np.array([event.w_gev for event in gst])
    known = np.isfinite(ours)
    # GENIE takes the mass of the nucleon that was struck, we the mean of both
    np.testing.assert_allclose(ours[known], file["W"][known], atol=2e-3)
    assert known.sum() == 182
    assert [event.nu_pdg for event in gst] == file["neu"].tolist()
    assert [event.is_cc for event in gst] == file["cc"].tolist()
    assert {event.target_pdg for event in gst} == {1000060120}


def test_modes_are_counted_as_the_files_count_them(gst, gtrac):
    assert Counter(event.mode for event in gst) == {"res": 105, "dis": 77}
    assert Counter(event.mode for event in gtrac) == {"qe": 374, "res": 383, "dis": 175, "mec": 64, "coh": 4}
    assert sum(event.is_cc for event in gtrac) == 727
    assert all(math.isnan(event.w_gev) == (event.mode == "coh") for event in gtrac if event.mode in ("coh", "dis"))


def test_the_record_alone_tells_the_current_and_the_mode_that_the_code_names(gtrac_path, gtrac):
    """EvtCode is an independent answer to what is inferred where it cannot be read."""
    columns = genie_gtrac.REQUIRED
    file = columns_of(gtrac_path, "gRooTracker", tuple(columns))
    for entry, event in enumerate(gtrac):
        inferred = genie_gtrac.interaction({name: file[name][entry] for name in columns}, "here")
        assert (inferred.is_cc, inferred.mode) == (event.is_cc, event.mode), entry


def test_what_transport_cannot_follow_is_known(gst, gtrac):
    """Short-lived particles of both files, which must decay first, and how many there are."""
    short = [
        Counter(code for event in events for code in event.pdg.tolist() if code not in NOT_FOLLOWED | set(PDG.tolist()))
        for events in (gst, gtrac)
    ]
    assert short == [{3122: 5, 311: 4, -311: 2}, {3222: 6, 3122: 5, 311: 5, 4122: 1}]


def test_numbers_run_through_all_files(gst_path, gtrac_path, gst, gtrac):
    read = read_interaction((gst_path, gtrac_path))
    for number, event in ((0, gst[0]), (181, gst[181]), (182, gtrac[0]), (1181, gtrac[999]), (3, gst[3])):
        assert read(number).final_state == event.final_state
    for number in (1182, 5000, -1):
        with pytest.raises(FormatError, match=f"no interaction {number}: .* hold 1182, counted from 0"):
            read(number)


def test_an_entry_beyond_the_end_is_refused(gst_path):
    with open_interactions(gst_path) as file, pytest.raises(FormatError, match="gst: no entry 182; there are 182"):
        file[182]


# Types of a ROOT branch, by what our reader calls them
TYPES = {"number": "float64", "numbers": "var * float64"}
GST_ROW = {
    **{"neu": 14, "cc": 1, "nc": 0, "qel": 1, "res": 0, "dis": 0, "coh": 0, "nf": 1},
    **{"Ev": 2.0, "El": 1.5, "pxl": 0.3, "pyl": 0.0, "pzl": 1.4},
    **{"pdgf": [2212], "Ef": [1.2], "pxf": [-0.3], "pyf": [0.0], "pzf": [0.6]},
}
NEUTRINO_P4, MUON_P4, PROTON_P4 = [0, 0, 2, 2], [0.3, 0, 1.4, 1.5], [-0.3, 0, 0.6, 1.2]
# A neutrino that became a muon on a neutron, whose proton left the nucleus
GTRAC_ROW = {
    "StdHepN": 6,
    "StdHepPdg": [14, 1000180400, 2112, 13, 2212, 2212],
    "StdHepStatus": [0, 0, 11, 1, 14, 1],
    "StdHepFm": [-1, -1, 1, 0, 2, 4],
    "StdHepP4": [NEUTRINO_P4, [0, 0, 0, 37], [0, 0, 0, 0.93], MUON_P4, PROTON_P4, PROTON_P4],
}


@pytest.fixture
def write(tmp_path):
    """A ROOT file with a tree of these rows."""

    def write_tree(name: str, *rows: dict, kinds: dict[str, str] | None = None):
        kinds = kinds or genie_gst.REQUIRED
        path = tmp_path / "events.root"
        with uproot.recreate(path) as file:
            file.mktree(name, {key: TYPES[kinds[key]] for key in rows[0]})
            file[name].extend({key: awkward.Array([row[key] for row in rows]) for key in rows[0]})
        return path

    return write_tree


def test_a_written_gst_event_comes_back(write):
    with open_interactions(write("gst", GST_ROW)) as file:
        event = file[0]
    assert event.pdg.tolist() == [13, 2212] and event.energy_mev.tolist() == [1500, 1200]
    assert (event.nu_pdg, event.is_cc, event.mode, event.target_pdg) == (14, True, "qe", None)
    # Files of old versions have no neutrino direction, so no Q2
    assert math.isnan(event.q2_gev2) and math.isnan(event.inelasticity)


def test_a_small_rootracker_event_is_read_as_it_was_meant():
    """Row by row: uproot itself writes no arrays of four-vectors."""
    event = genie_gtrac.interaction(GTRAC_ROW, "here")
    assert event.pdg.tolist() == [13, 2212] and event.energy_mev.tolist() == [1500, 1200]
    assert (event.nu_pdg, event.is_cc, event.mode, event.target_pdg) == (14, True, "qe", 1000180400)
    assert event.q2_gev2 == pytest.approx(0.3**2 + 0.6**2 - 0.5**2) and event.inelasticity == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("row", "lepton", "is_cc"),
    [
        ({"neu": -12}, -11, True),
        ({"neu": -14, "cc": 0, "nc": 1}, -14, False),
        ({"neu": 14, "cc": 0, "fspl": 11}, 11, None),
    ],
)
def test_the_outgoing_lepton_of_a_gst_event_is_known_with_and_without_its_branch(row, lepton, is_cc):
    event = genie_gst.interaction(GST_ROW | row, "here")
    assert event.pdg[0] == lepton and event.is_cc is is_cc


@pytest.mark.parametrize(
    ("codes", "status", "mother", "mode"),
    [
        ([14, 1000180400, 2000000201, 13, 2212], [0, 0, 11, 1, 14], [-1, -1, 1, 0, 2], "mec"),
        ([14, 1000180400, 2112, 13, 2214], [0, 0, 11, 1, 3], [-1, -1, 1, 0, 2], "res"),
        ([14, 1000180400, 2112, 13, 2000000001], [0, 0, 11, 1, 12], [-1, -1, 1, 0, 2], "dis"),
        ([14, 1000180400, 13, 211, 1000180400], [0, 0, 1, 1, 1], [-1, -1, 0, 1, 1], "coh"),
        ([14, 11, 11, 14, 22], [0, 0, 11, 1, 1], [-1, -1, 1, 0, 0], "other"),
        ([14, 1000180400, 2112, 13, 22], [0, 0, 11, 1, 2], [-1, -1, 1, 0, 2], None),
    ],
)
def test_the_mode_follows_from_the_record(codes, status, mother, mode):
    row = {"StdHepN": 5, "StdHepPdg": codes, "StdHepStatus": status, "StdHepFm": mother, "StdHepP4": [NEUTRINO_P4] * 5}
    assert genie_gtrac.interaction(row, "here").mode == mode


@pytest.mark.parametrize(
    ("kind", "row", "text"),
    [
        (genie_gst, {"nf": 2}, r"nf is 2, arrays pdgf, .* have lengths \[1, 2\]"),
        (genie_gst, {"pxf": []}, "they must be equal"),
        (genie_gst, {"Ef": [math.nan]}, r"here: Ef: is \[nan\]; all numbers must be finite"),
        (genie_gst, {"Ev": math.inf}, "here: Ev: is inf"),
        (genie_gst, {"El": 0.1}, r"particle 0 \(PDG 13\) has momentum .* and energy 0.1 GeV"),
        (genie_gst, {"pdgf": [0]}, "0 is none"),
        (genie_gst, {"nc": 1}, "cc and nc are both set"),
        (genie_gst, {"cc": 0}, "neither CC nor NC, and there is no branch fspl"),
        (genie_gtrac, {"StdHepN": 7}, "StdHepN is 7"),
        (genie_gtrac, {"StdHepStatus": [1, 0, 11, 1, 14, 1]}, "the incoming neutrino"),
        (genie_gtrac, {"StdHepN": 0} | {key: [] for key in genie_gtrac.PARTICLES}, "begins with"),
        (genie_gtrac, {"StdHepFm": [-1] * 6}, "no final particle comes from the neutrino"),
        (genie_gtrac, {"StdHepP4": [[math.nan] * 4] * 6}, "StdHepP4: is .*nan"),
    ],
)
def test_an_event_that_is_no_event_is_refused_by_name(kind, row, text):
    good = GST_ROW if kind is genie_gst else GTRAC_ROW
    with pytest.raises(FormatError, match=f"here.*{text}|{text}"):
        kind.interaction(good | row, "here")


def test_energies_of_geni_es_own_particles_are_on_no_mass_shell_and_pass():
    row = GTRAC_ROW | {"StdHepPdg": [14, 1000180400, 2112, 13, 2212, 2000000101]}
    row["StdHepP4"] = [*GTRAC_ROW["StdHepP4"][:5], [0.1, 0, 0, 0.025]]
    assert genie_gtrac.interaction(row, "here").pdg.tolist() == [13, 2000000101]


def test_files_without_what_is_needed_are_refused_by_name(write, tmp_path):
    with pytest.raises(FormatError, match=r"nothing.root: no such file"):
        open_interactions(tmp_path / "nothing.root")
    with pytest.raises(FormatError, match=r"has trees other; one must be gst or gRooTracker.*gntpc"):
        open_interactions(write("other", GST_ROW))
    with pytest.raises(FormatError, match="gst: has no branch Ev, pdgf"):
        open_interactions(write("gst", {key: value for key, value in GST_ROW.items() if key not in ("Ev", "pdgf")}))
    kinds = genie_gst.REQUIRED | {"pdgf": "number"}
    with pytest.raises(FormatError, match="gst: pdgf: is of type double; it must hold numbers"):
        open_interactions(write("gst", GST_ROW | {"pdgf": 1.0}, kinds=kinds))


def test_reading_in_another_order_gives_the_same(gtrac_path, gtrac, monkeypatch):
    monkeypatch.setattr(genie_tree, "CHUNK_ENTRIES", 64)
    with open_interactions(gtrac_path) as file:
        for entry in np.random.default_rng(1).permutation(len(file))[:50].tolist():
            assert file[entry].final_state == gtrac[entry].final_state


DAMAGE = """
import random, resource, sys
from pathlib import Path
from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats.genie import open_interactions

source, target, cases = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
good, outcomes = source.read_bytes(), {"read": 0, "refused": 0}
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for case in range(cases):
    rng = random.Random(case)
    data = bytearray(good)
    if case % 3 == 0:
        del data[rng.randrange(len(data)) :]
    # Half of the others hit the end, where ROOT keeps the tree's description
    for _ in range(0 if case % 3 == 0 else rng.choice((1, 4, 64))):
        data[rng.randrange(len(data) - 20000 if case % 3 == 2 else 0, len(data))] = rng.randrange(256)
    target.write_bytes(data)
    try:
        with open_interactions(target) as file:
            for entry in {0, len(file) // 2, len(file) - 1}:
                file[entry]
        outcomes["read"] += 1
    except FormatError as error:
        assert str(target) in str(error), error
        outcomes["refused"] += 1
# ru_maxrss would be that of the process that started this one, where it is larger
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(outcomes, int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [GST, GTRAC])
def test_damaged_files_are_refused_or_read_but_never_crash_or_take_gigabytes(test_data, tmp_path, name):
    """Cut off, and with bytes changed, in a process that may take 3 GiB of address space; 120 cases each."""
    arguments = [str(test_data / "generators" / name), str(tmp_path / "damaged.root"), "120"]
    done = subprocess.run([sys.executable, "-c", DAMAGE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes, _, peak_mib = done.stdout.strip().rpartition(" ")
    assert "'refused': 0" not in outcomes and int(peak_mib) < 600, done.stdout
