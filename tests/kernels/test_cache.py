from nuvlm_kernels.cache import STAMP_NAME, drop_stale


def test_compiled_kernels_are_dropped_when_any_source_changes(tmp_path):
    (tmp_path / "caller.py").write_text("1")
    (tmp_path / "callee.py").write_text("2")
    drop_stale(tmp_path)
    compiled = [tmp_path / "__pycache__" / f"caller.f-1.py311.{kind}" for kind in ("nbi", "1.nbc")]
    for path in compiled:
        path.touch()
    assert drop_stale(tmp_path) == 0 and all(path.exists() for path in compiled)
    (tmp_path / "callee.py").write_text("3")
    assert drop_stale(tmp_path) == 2 and not any(path.exists() for path in compiled)
    assert drop_stale(tmp_path) == 0


def test_a_new_source_and_a_renamed_one_count_as_changes(tmp_path):
    (tmp_path / "a.py").write_text("1")
    drop_stale(tmp_path)
    first = (tmp_path / "__pycache__" / STAMP_NAME).read_text()
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    drop_stale(tmp_path)
    assert (tmp_path / "__pycache__" / STAMP_NAME).read_text() != first


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "__pycache__").write_text("a file where a folder should be")
    assert drop_stale(tmp_path) == 0
