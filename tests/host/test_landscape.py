"""The energy of points: against what can be worked out by hand, on models whose error is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from rdedge.data import builtin
from rdedge.errors import ConfigError, ShapeError, TrainingError, ValueRangeError
from rdedge.host.landscape import (
    DISTANCES,
    Plane,
    energy,
    grid,
    normals,
    plane_of_data,
    plane_through,
    principal_plane,
    ravine,
    spread_of,
    surface,
)


class Onto(nn.Module):
    """An auto-encoder whose reconstruction is what `back` says of flattened samples."""

    def __init__(self, back):
        super().__init__()
        self.g_a, self.g_s = nn.Flatten(), nn.Module()
        self.g_s.forward = back  # type: ignore[method-assign]


def line(keep):
    """Onto the first `keep` coordinates."""
    return Onto(lambda y: torch.cat([y[:, :keep], torch.zeros_like(y[:, keep:])], dim=1))


def circle():
    return Onto(lambda y: y / y.norm(dim=1, keepdim=True).clamp_min(1e-6))


def test_energy_is_the_squared_error_summed_over_a_sample():
    x = np.random.default_rng(0).normal(size=(50, 3, 4)).astype(np.float32)
    found = energy(line(5), x)
    assert (found.shape, found.dtype) == ((50,), np.float64)
    rest = x.reshape(50, 12)[:, 5:].astype(np.float64)
    np.testing.assert_allclose(found, np.square(rest).sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(energy(line(5), x.astype(np.float64)), found)


def test_blocks_change_nothing(monkeypatch):
    x = np.random.default_rng(0).normal(size=(37, 6)).astype(np.float32)
    whole = energy(line(2), x)
    monkeypatch.setattr("rdedge.host.landscape._BLOCK_ELEMENTS", 30)
    np.testing.assert_array_equal(energy(line(2), x), whole)
    plane = principal_plane(x)
    by_blocks = surface(line(2), plane, 9)
    monkeypatch.setattr("rdedge.host.landscape._BLOCK_ELEMENTS", 1 << 20)
    np.testing.assert_array_equal(surface(line(2), plane, 9), by_blocks)


def test_a_model_is_left_as_it_was():
    """Dropout would give other energies each time; the mode of each module comes back."""
    model = Onto(lambda y: y)
    model.g_a = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(2, 2))
    model.train()
    model.g_a[2].eval()
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(energy(model, x), energy(model, x))
    assert model.g_a[1].training
    assert not model.g_a[2].training
    assert all(p.grad is None and p.requires_grad for p in model.g_a.parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_what_is_not_finite_is_refused(bad):
    x = np.zeros((5, 2))
    x[3, 1] = bad
    with pytest.raises(ValueRangeError, match=r"\(3, 1\)"):
        energy(line(1), x)
    for plane in (plane_of_data, principal_plane, spread_of):
        with pytest.raises(ValueRangeError):
            plane(x)
    with pytest.raises(TrainingError, match="not finite"):
        energy(Onto(lambda y: y * math.nan), np.ones((2, 2)))
    with pytest.raises(ShapeError):
        energy(line(1), np.zeros(4))


def orthonormal(plane: Plane) -> bool:
    directions = np.stack([plane.u, plane.v]).reshape(2, -1)
    return bool(np.allclose(directions @ directions.T, np.eye(2), atol=1e-12))


def test_the_plane_of_data_frames_it():
    x = np.array([[0.0, 5.0], [4.0, 6.0], [2.0, 5.5]])
    plane = plane_of_data(x)
    assert orthonormal(plane)
    assert (plane.across, plane.up) == ((-1.0, 5.0), (2.5, 8.5))
    np.testing.assert_array_equal(plane.project(x)[0], x)
    np.testing.assert_array_equal(plane.at(x), x)
    assert plane_of_data(x[:, None]).at(x).shape == (3, 1, 2)
    with pytest.raises(ShapeError, match="two values"):
        plane_of_data(np.ones((3, 3)))


def test_a_plane_goes_through_its_three_samples():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(3, 4, 5)) * 100
    plane = plane_through(*samples)
    assert orthonormal(plane)
    coordinates, apart = plane.project(samples)
    assert apart.max() < 1e-10
    np.testing.assert_allclose(plane.at(coordinates), samples)
    for ends, values in zip((plane.across, plane.up), coordinates.T, strict=True):
        assert ends[0] < values.min() < values.max() < ends[1]
    a, b, c = coordinates
    assert b[0] > a[0]
    assert b[1] == pytest.approx(a[1])
    assert c[1] > a[1]


def test_samples_without_a_plane_are_refused():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([5.0, 2.0, 0.0])
    for three in ((a, b, a), (a, a, b), (a, b, b), (a, b, 0.3 * a + 0.7 * b)):
        with pytest.raises(ConfigError, match="one line"):
            plane_through(*three)
    for alike in (np.full((6, 2), 0.1), np.full((6, 3), 7)):
        with pytest.raises(ValueRangeError, match="alike"):
            principal_plane(alike)
        with pytest.raises(ValueRangeError, match="alike"):
            ravine(line(1), alike, (), np.random.default_rng(0))
    with pytest.raises(ValueRangeError, match="alike"):
        plane_of_data(np.full((6, 2), 0.1))
    with pytest.raises(ValueRangeError, match="one line"):
        principal_plane(np.arange(6.0)[:, None] * [1, 2, 3])
    with pytest.raises(ShapeError, match="one value"):
        principal_plane(np.arange(6.0)[:, None])


def test_the_principal_plane_is_that_of_most_variance():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5000, 6)) * [0.1, 9.0, 0.1, 0.1, 3.0, 0.1] + 50
    plane = principal_plane(x)
    assert orthonormal(plane)
    assert plane.u[1] > 0.99
    assert plane.v[4] > 0.99
    assert plane.project(x)[1].max() < 1.0


def test_a_surface_is_read_from_below_and_from_the_left():
    plane = Plane(np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0]), (-1.0, 1.0), (0.0, 3.0))
    third = 1 / 3
    np.testing.assert_allclose(
        grid(plane, 4)[:5], [[-1, 0], [-third, 0], [third, 0], [1, 0], [-1, 1]]
    )
    found = surface(line(1), plane, 4)
    np.testing.assert_allclose(found, np.square(np.arange(4.0))[:, None] * np.ones(4), rtol=1e-6)


def test_numbers_of_a_flat_ravine_are_what_geometry_says():
    """Data with noise of 0.1 off a plane of 2 in 5 dimensions, a model that projects onto it: of
    displacements in all directions three fifths survive, and E doubles where 3/5 r^2 = E.
    """
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(2000, 2)), 0.1 * rng.normal(size=(2000, 3))], axis=1)
    found = ravine(line(2), x, (0.5, 0.25, 2.0), np.random.default_rng(0))
    assert found.samples == 2000
    assert found.elements == 5
    assert found.spread == pytest.approx(math.sqrt(2.03), rel=0.03)
    on_data = np.square(x[:, 2:]).sum(axis=1)
    assert found.energy_mean == pytest.approx(on_data.mean(), rel=1e-5)
    assert found.energy_median == pytest.approx(np.median(on_data), rel=1e-5)
    assert [s.distance for s in found.steps] == [0.25, 0.5, 2.0]
    assert found.stated == 0.5
    for s in found.steps:
        assert s.survives == pytest.approx(0.6, rel=0.03)
        assert s.energy == pytest.approx(found.energy_mean + s.survives * s.distance**2)
        assert s.depth == pytest.approx(s.energy / found.energy_mean)
        assert s.depth_db == pytest.approx(10 * math.log10(s.depth))
    assert found.width_normal is None
    assert found.width_random == pytest.approx(math.sqrt(found.energy_mean / 0.6), rel=0.03)
    assert found.step("normal") is None
    assert found.step("random") == found.steps[1]
    again = ravine(line(2), x, (0.5, 0.25, 2.0), np.random.default_rng(0))
    assert dataclasses.asdict(again) == dataclasses.asdict(found)


def test_across_the_ring_all_survives_and_half_in_all_directions():
    x = builtin.load("ring").samples[-880:]
    u = normals(x)
    radial = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert np.median(np.abs((u * radial).sum(axis=1))) > 0.99
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1.0)
    found = ravine(circle(), x, (), np.random.default_rng(0))
    assert found.energy_mean == pytest.approx(builtin.NOISE["ring"] ** 2, rel=0.1)
    assert len(found.steps) == 2 * len(DISTANCES)
    near = {s.direction: s for s in found.steps if s.distance < 0.07}
    assert near["normal"].survives == pytest.approx(1.0, abs=0.1)
    assert near["random"].survives == pytest.approx(0.5, abs=0.1)
    assert found.width_normal == pytest.approx(builtin.NOISE["ring"], rel=0.15)
    assert found.width_random > found.width_normal
    assert found.stated == pytest.approx(found.spread / 4)


def test_a_model_that_gives_back_everything_has_no_depth():
    x = np.random.default_rng(0).normal(size=(30, 4))
    found = ravine(Onto(lambda y: y), x.astype(np.float32), (1.0,), np.random.default_rng(0))
    (step,) = found.steps
    assert (found.energy_mean, step.depth, step.depth_db, step.survives) == (0.0, None, None, 0.0)
    assert found.width_random is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_distances_are_above_0(bad):
    with pytest.raises(ConfigError, match="each above 0"):
        ravine(line(1), np.eye(5), (1.0, bad), np.random.default_rng(0))
