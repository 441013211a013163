"""The three tasks that come along: on data made here, and on real data where they are at hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from rdedge import tasks
from rdedge.errors import ConfigError

DATA = Path(__file__).parents[3] / "shared" / "data"


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def noisy(x: np.ndarray, std: float) -> np.ndarray:
    """x, whole numbers, with noise."""
    low, high = x.min(), x.max()
    return np.clip(np.rint(x + rng().normal(0, std, x.shape)), low, high).astype(x.dtype)


# Digits.


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return pytest.importorskip("sklearn.datasets").load_digits().target


def test_digits_are_read_and_noise_is_felt(digits, labels):
    judge = tasks.load("rdedge.tasks.digits:accuracy").judge(digits[:1400], labels[:1400])
    x, y = digits[1400:], labels[1400:]
    raw = judge(x, y)
    assert 0.94 < raw < 1
    assert judge(x, y) == raw
    assert judge(list(x), list(y)) == raw
    assert judge(x.astype(np.float32), y.astype(str)) == 0.0  # other classes than it learnt
    assert 0.5 < judge(noisy(x, 6), y) < raw - 0.03


def test_digits_need_one_label_each(digits, labels):
    task = tasks.load("rdedge.tasks.digits:accuracy")
    for wrong in (None, labels[:9], digits[:10], np.zeros(10), []):
        with pytest.raises(ConfigError, match="one class a sample"):
            task.judge(digits[:10], wrong)
    with pytest.raises(ConfigError, match="all of one class"):
        task.judge(digits[:10], np.zeros(10, int))
    with pytest.raises(ConfigError, match="different sizes"):
        task.judge([np.zeros((2, 2)), np.zeros((2, 3))], [0, 1])


# Series.


def series(anomalies: bool, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Windows (count, 64, 3) of two tied channels and a free one; the tie breaks in anomalies."""
    free = rng().normal(0, 1, (count, 64, 3))
    x = free.copy()
    x[..., 1] = 3 * x[..., 0] + 0.3 * free[..., 1]
    marks = np.zeros((count, 64))
    if anomalies:
        marks[::4, 16:48] = 1
        x[..., 1] += 3 * marks
    return (1e-3 * x + 7).astype(np.float32), marks


def test_anomalies_are_found_and_noise_is_felt():
    task = tasks.load("rdedge.tasks.skab:f1")
    judge = task.judge(series(False)[0])
    x, marks = series(True)
    raw = judge(x, marks)
    assert 0.9 < raw < 1
    scores = [judge(x + rng().normal(0, s * 1e-3, x.shape), marks) for s in (0.1, 0.5, 2)]
    assert raw > scores[0] - 0.01
    assert scores == sorted(scores, reverse=True)
    # Marked rows are not learnt as order, and a channel may stand still.
    still = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2)
    assert task.judge(x, marks)(x, marks) > 0.9
    assert task.judge(still, marks)(still, marks) == pytest.approx(task.judge(x, marks)(x, marks))


def test_gaps_are_no_alarm():
    task = tasks.load("rdedge.tasks.skab:f1")
    x, marks = series(True)
    x[3, :, 1] = np.nan
    whole = task.judge(x, marks)
    assert whole(np.full_like(x, np.nan), 0 * marks) == 1.0
    assert whole(np.full_like(x, np.nan), marks) == 0.0


def test_series_need_labels_of_rows():
    task = tasks.load("rdedge.tasks.skab:f1")
    x, marks = series(True)
    for wrong in (marks[:, :9], marks[0], x):
        with pytest.raises(ConfigError, match="one label a row"):
            task.judge(x, wrong)
    with pytest.raises(ConfigError, match="0 rows in order, of 3 channels"):
        task.judge(x, marks + 1)
    with pytest.raises(ConfigError, match="windows of 2 channels"):
        task.judge(x, marks)(x[..., :2], marks)


def skab(numbers: range) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, 64, 8) of files valve1-K, and their marks."""
    windows, marks = [], []
    for number in numbers:
        with (DATA / "skab" / f"valve1-{number}.csv").open(newline="") as lines:
            table = np.array([row[1:10] for row in list(csv.reader(lines, delimiter=";"))[1:]])
        table = table[: len(table) // 64 * 64].astype(np.float32).reshape(-1, 64, 9)
        windows.append(table[..., :8])
        marks.append(table[..., 8])
    return np.concatenate(windows), np.concatenate(marks)


@pytest.mark.skipif(not (DATA / "skab").is_dir(), reason="SKAB is not at hand")
def test_skab():
    judge = tasks.load("rdedge.tasks.skab:f1").judge(*skab(range(8)))
    x, marks = skab(range(8, 16))
    raw = judge(x, marks)
    everything = 2 * marks.mean() / (1 + marks.mean())
    assert raw > everything + 0.2
    # As much error as a bound of 1 on standardised values allows hides some.
    assert judge(x + rng().normal(0, 1, x.shape) * x.std(axis=(0, 1)), marks) < raw - 0.05


# Boards.


def board() -> np.ndarray:
    """(120, 120, 1) uint8: two tracks, a pad with a hole, a speck of dust."""
    x = np.full((120, 120, 1), 10, np.uint8)
    x[10:20, 10:110] = 240
    x[40:50, 10:110] = 240
    x[70:110, 30:70] = 240
    x[85:95, 45:55] = 10
    x[115:117, 5:8] = 240
    return x


def defect(*cut: slice, value: int) -> np.ndarray:
    x = board()
    x[cut] = value
    return x


# Five parts: two tracks and the pad; the ground and the hole.
@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        (board(), 1.0),
        (np.where(board() > 128, 255, 0).astype(np.uint8), 1.0),
        (defect(slice(115, 117), slice(5, 8), value=10), 1.0),  # dust is gone
        (defect(slice(60, 63), slice(5, 8), value=240), 1.0),  # dust is new
        (defect(slice(10, 20), slice(50, 55), value=10), 4 / 7),  # open: two for one
        (defect(slice(20, 40), slice(50, 52), value=240), 3 / 6),  # short: one for two
        (defect(slice(72, 76), slice(34, 38), value=10), 5 / 6),  # a pinhole of 1 %
        (defect(slice(85, 95), slice(45, 55), value=240), 3 / 6),  # hole filled: pad 7 % larger
        (defect(slice(100, 105), slice(90, 95), value=240), 5 / 6),  # spurious copper
        (defect(slice(10, 20), slice(100, 110), value=10), 4 / 6),  # a tenth of a track missing
        (np.zeros((120, 120, 1), np.uint8), 0 / 6),
    ],
)
def test_parts_of_a_board(decoded, expected):
    pytest.importorskip("scipy")
    judge = tasks.load("rdedge.tasks.boards:intact").judge()
    assert judge([decoded], [board()]) == pytest.approx(expected)
    twice = judge(np.stack([decoded, board()]), np.stack([board(), board()]))
    assert expected <= twice <= 1


def test_boards_need_the_raw_pictures():
    pytest.importorskip("scipy")
    judge = tasks.load("rdedge.tasks.boards:intact").judge()
    for labels in (None, [], [board(), board()]):
        with pytest.raises(ConfigError, match="the raw pictures as labels"):
            judge([board()], labels)
    with pytest.raises(ConfigError, match="of one shape"):
        judge([board()], [board()[:9]])
    for wrong in (board().astype(float), np.zeros((9, 9, 3), np.uint8)):
        with pytest.raises(ConfigError, match="uint8"):
            judge([wrong], [wrong])


@pytest.mark.skipif(not (DATA / "deeppcb").is_dir(), reason="DeepPCB is not at hand")
def test_deeppcb():
    pytest.importorskip("scipy")
    image = pytest.importorskip("PIL.Image")
    files = sorted((DATA / "deeppcb" / "test").glob("*.jpg"))[:4]
    raw = [np.asarray(image.open(file).convert("L"))[..., None] for file in files]

    def jpeg(x: np.ndarray, quality: int) -> np.ndarray:
        data = io.BytesIO()
        image.fromarray(x[..., 0]).save(data, "JPEG", quality=quality)
        return np.asarray(image.open(data))[..., None]

    judge = tasks.load("rdedge.tasks.boards:intact").judge()
    scores = [judge([jpeg(x, quality) for x in raw], raw) for quality in (1, 10, 80)]
    assert judge(raw, raw) == 1.0
    assert scores[0] < scores[1] < scores[2] == 1.0
