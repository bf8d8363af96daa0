import pytest

from hpc_nuvlm.engine.world import Place, find_place
from hpc_nuvlm.errors import ConfigError

MEET = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Place()),
        (
            {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", **MEET},
            Place(3, 8, 1, 2, "node1", 29500),
        ),
        (
            {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "2", **MEET},
            Place(3, 4, 1, 2, "node1", 29500),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Place()),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, Place()),
        # torchrun inside a Slurm job: the nearer launcher wins
        (
            {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "2", **MEET},
            Place(1, 2, 1, 1, "node1", 29500),
        ),
    ],
)
def test_each_launcher_says_where_a_process_stands(environment, place):
    assert find_place(environment) == place


def test_ranks_without_a_meeting_point_are_refused():
    with pytest.raises(ConfigError, match="WORLD_SIZE=2 but MASTER_ADDR and MASTER_PORT are not set"):
        find_place({"RANK": "0", "WORLD_SIZE": "2"})


def test_a_rank_that_is_no_number_is_refused_by_name():
    with pytest.raises(ConfigError, match="RANK='first' must be a whole number"):
        find_place({"RANK": "first", "WORLD_SIZE": "2", **MEET})
