from __future__ import annotations

import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.engine.part import Part, Range, Shapes, default_shapes
from rdedge.errors import BundleError, ConfigError
from rdedge.types import SampleSpec
from tests.bundle import tiny
from tests.engine import make


def images(patch: int = 8) -> Bundle:
    manifest = tiny.manifest(sample=SampleSpec("image", (30, 700, 1), "uint8"), patch=patch)
    return Bundle(manifest, tiny.members())


@pytest.mark.parametrize(("text", "found"), [("1,8,64", (1, 8, 64)), (" 4 ", (4, 4, 4))])
def test_ranges_as_they_are_written(text, found):
    assert Range.parse(text, "a batch of") == Range(*found)


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2,3,4", "a", "-1", "1.5", "1;2;3", "0", "8,1,64", "1,65,64", "9999999"]
)
def test_other_ranges_are_refused(text):
    with pytest.raises(ConfigError, match=r"range of|a batch of"):
        Range.parse(text, "a batch of")


def test_a_vector_has_a_batch_alone():
    part = Part.of(make.bundle(), "encoder")
    assert part.axes == (Range(1, 1, 64),)
    assert part.graph == make.product()
    assert part.identity == make.bundle().manifest.identity
    with pytest.raises(ConfigError, match="a size for samples of kind vector"):
        Shapes.parse(make.bundle(), None, "8")


def test_an_image_has_sides_in_pixels_for_the_encoder_and_in_patches_for_the_decoder():
    bundle = images()
    assert default_shapes(bundle) == Shapes(Range(1, 1, 8), Range(1, 30, 512), Range(1, 700, 700))
    assert Part.of(bundle, "encoder").axes[1:] == (Range(8, 32, 512), Range(8, 704, 704))
    assert Part.of(bundle, "decoder").axes[1:] == (Range(1, 4, 64), Range(1, 88, 88))


def test_sizes_as_they_are_written():
    bundle = images()
    assert Shapes.parse(bundle, "2", "16,32,64") == Shapes(
        Range(2, 2, 2), Range(16, 32, 64), Range(16, 32, 64)
    )
    assert Shapes.parse(bundle, None, "16x8,9,10") == Shapes(
        Range(1, 1, 8), Range(16, 16, 16), Range(8, 9, 10)
    )
    for text in ("x", "16x", "x16", "16x16x16"):
        with pytest.raises(ConfigError, match="a size of"):
            Shapes.parse(bundle, None, text)


def test_the_workspace_is_the_profiles():
    bundle = make.bundle(b'{"builder":{"workspace_mib":512},"name":"x"}')
    assert Part.of(bundle, "encoder").workspace_mib == 512
    assert Part.of(make.bundle(), "encoder").workspace_mib is None
    assert Part.of(bundle, "encoder", None, {}).workspace_mib is None


@pytest.mark.parametrize("value", [b'"512"', b"0", b"true", b"[1]", b"9999999"])
def test_a_workspace_that_is_none_is_refused(value):
    bundle = make.bundle(b'{"builder":{"workspace_mib":%b},"name":"x"}' % value)
    with pytest.raises(BundleError, match="workspace_mib is"):
        Part.of(bundle, "encoder")


def test_a_half_that_is_not_there_is_named():
    members = {k: v for k, v in tiny.members().items() if k != "decoder.onnx"}
    with pytest.raises(BundleError, match="holds no decoder"):
        Part.of(Bundle(tiny.manifest(), members), "decoder")
