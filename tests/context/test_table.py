"""Tables of the user's: rows by event, cells as text, and every refusal."""

from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hpc_nuvlm.context.table import pairs, read_table, scientific
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Identity

EVENT = Identity("ab" * 32, 5, 1, 2)


def write(tmp_path, text: str):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_rows_are_found_by_numbers_or_by_key(tmp_path):
    table = read_table(write(tmp_path, "run,subrun,event,beam\n1,2,4,RHC\n1,2,5,FHC\n"), ["beam"])
    assert table.row(EVENT) == 1 and table.row(Identity("ab" * 32, 5)) is None
    table = read_table(write(tmp_path, f"key,beam\n{EVENT.key},FHC\n"), ["beam"])
    assert table.row(EVENT) == 0
    table = read_table(write(tmp_path, "event,beam\n4,RHC\n5,FHC\n"), ["beam"])
    assert table.row(Identity("ab" * 32, 5)) == 1


def test_cells_read_alike_however_large_they_are(tmp_path):
    text = "event,dead,lifetime_ms,beam,calm\n1,7,3.2,FHC,true\n2,1432,0.00071,RHC,false\n3,,,,\n"
    columns = read_table(write(tmp_path, text), ["dead", "lifetime_ms", "beam", "calm"]).columns
    assert [columns["dead"].text(row) for row in range(3)] == ["00 07", "14 32", "unknown"]
    assert [columns["lifetime_ms"].text(row) for row in range(3)] == ["32 00e-3", "71 00e-7", "unknown"]
    assert [columns["beam"].text(row) for row in range(3)] == ["FHC", "RHC", "unknown"]
    assert [columns["calm"].text(row) for row in range(3)] == ["yes", "no", "unknown"]
    assert columns["beam"].text(None) == "unknown"


def test_a_column_with_negative_numbers_says_every_sign(tmp_path):
    columns = read_table(write(tmp_path, "event,drift,step\n1,-0.5,3\n2,12.5,-3\n"), ["drift", "step"]).columns
    assert [columns["drift"].text(row) for row in (0, 1)] == ["-50 00e-4", "+12 50e-2"]
    assert [columns["step"].text(row) for row in (0, 1)] == ["+03", "-03"]


def test_digits_come_in_pairs():
    assert pairs(1432, 6) == "00 14 32" and pairs(0, 2) == "00"
    assert scientific(3.2) == (3200, -3) and scientific(0.0) == (0, 0) and scientific(9999.9) == (1000, 1)


def test_parquet_with_times_and_dictionaries_is_read(tmp_path):
    columns = {
        "key": [EVENT.key],
        "taken": pa.array([datetime(2024, 5, 1, 12)], pa.timestamp("s")),
        "beam": pa.array(["FHC"]).dictionary_encode(),
        "unused": [[1, 2]],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    table = read_table(tmp_path / "table.parquet", ["taken", "beam"])
    assert [column.text(0) for column in table.columns.values()] == ["2024-05-01 12:00:00.000", "FHC"]
    with pytest.raises(ConfigError, match=r"'unused': holds list.*leave it out"):
        read_table(tmp_path / "table.parquet", ["unused"])


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("event,beam\n1,FHC\n", ["baem"], "no column 'baem'.*did you mean 'beam'"),
        ("event,beam\n1,FHC\n", ["event"], "no column 'event'.*there are beam"),
        ("beam\nFHC\n", ["beam"], "has no column that names its event; add 'key'"),
        ("event,beam\n1,FHC\n1,RHC\n", ["beam"], "row 1 and row 2 are of the same event"),
        ("event,beam,beam\n1,FHC,FHC\n", ["beam"], "column 'beam' is there twice"),
        ("event,beam\n1,<|image|>\n", ["beam"], "column 'beam', row 1 holds '<|image|>'"),
        ("event,be<am\n1,FHC\n", ["be<am"], "the name stands in a question.*rename it"),
        ("event,beam\n1\n2,3,4\n", ["beam"], "cannot be read as csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, text, fields, message):
    with pytest.raises(ConfigError, match=message.replace("|", r"\|")):
        read_table(write(tmp_path, text), fields)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_table(tmp_path / "none.csv", [])
    with pytest.raises(ConfigError, match=r"must be a \.csv or \.parquet file"):
        read_table(tmp_path / "table.root", [])
    (tmp_path / "table.parquet").write_text("no parquet")
    with pytest.raises(ConfigError, match="cannot be read as parquet"):
        read_table(tmp_path / "table.parquet", [])
