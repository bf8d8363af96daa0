import pytest
from PIL import Image

from hpc_nuvlm.report.costs import plot_pareto, plot_scaling, plot_stages


def row(case: str, seconds: float, accuracy: float | None = None, ranks: int = 1, **stages: float) -> dict:
    judged = None if accuracy is None else {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02}
    return {
        "case": case,
        "model": case.split()[0],
        "batch": 32,
        "ranks": ranks,
        "seconds_per_event": seconds,
        "events_per_second": ranks / seconds,
        "accuracy": judged,
        "stages_s": stages,
    }


ROWS = [
    row("cnn", 1e-3, 0.8, read=2e-4, rasterize=1e-4, vision=7e-4),
    row("nano", 3e-2, 0.9, read=2e-4, rasterize=1e-4, vision=2e-2, text=1e-2),
    row("nano $training", 9e-2, read=2e-4, rasterize=1e-4, vision=2e-2, text=1e-2, backward=6e-2),
]


def test_every_picture_is_one(tmp_path):
    assert plot_pareto(tmp_path / "pareto.png", ROWS, "what it costs, in $")
    plot_stages(tmp_path / "stages.png", ROWS, "where it goes")
    ranks = [row("cnn", 1e-3), row("cnn", 1.1e-3, ranks=2), row("nano", 1e-2, ranks=2)]
    assert plot_scaling(tmp_path / "scaling.png", ranks, "more ranks")
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.size[0] > 1000 and len(picture.convert("L").getcolors(1 << 20)) > 20
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("plot", [plot_pareto, plot_scaling])
def test_nothing_to_show_is_no_picture(plot, tmp_path):
    assert not plot(tmp_path / "none.png", [row("cnn", 1e-3)], "nothing")
    assert list(tmp_path.iterdir()) == []
