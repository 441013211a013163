"""The manifest: every key known, every value checked, nothing passed over."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from rdedge import canonical
from rdedge.bundle.bundle import Bundle, npy_bytes
from rdedge.bundle.manifest import Half, Level, Manifest, sha256
from rdedge.coding.selection import Group, Selection
from rdedge.errors import BundleError
from rdedge.metrics import Scale
from rdedge.types import Bound, SampleSpec
from tests.bundle import tiny


def test_a_manifest_reads_as_it_was_written():
    manifest = tiny.bundle().manifest
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.key == bytes.fromhex(manifest.identity)[:4]


def test_numbers_are_written_in_one_way():
    """Integers given for floats do not make another manifest."""
    one = tiny.manifest(bound=Bound("mse", 4), scale=Scale(255, (64,)), levels=(Level(1),))
    other = tiny.manifest(
        bound=Bound("mse", 4.0), scale=Scale(255.0, (64.0,)), levels=(Level(1.0),)
    )
    assert one.to_bytes() == other.to_bytes()
    assert Manifest.from_bytes(one.to_bytes()) == other


def test_data_that_does_not_vary_has_a_bundle_too():
    manifest = tiny.manifest(scale=Scale(0.0, (0.0,)), encoder=Half(0, 0))
    assert Bundle.make(manifest, tiny.members()).manifest.scale == Scale(0.0, (0.0,))


def test_the_identity_is_what_the_page_says():
    decoder, tables = sha256(b"a decoder"), sha256(tiny.tables().to_bytes())
    # One group of two latents, one class, both SCALED, tables 0 and 1.
    selection = sha256(bytes([1, 2, 1, 0, 0, 0, 1]))
    text = (
        f'{{"decoder":"{decoder}","format":1,"latents":2,'
        '"levels":[{"step":"0x1.8000000000000p-1"}],"patch":1,'
        '"sample":{"dtype":"uint8","kind":"vector","shape":[3]},'
        f'"selection":"{selection}","tables":"{tables}"}}'
    )
    assert tiny.bundle().manifest.identity == sha256(text.encode())


def test_the_identity_covers_what_decoding_depends_on_and_no_more():
    base = tiny.bundle().manifest.identity

    def identity(changes: dict[str, bytes] | None = None, **manifest: Any) -> str:
        return Bundle.make(
            tiny.manifest(**manifest), tiny.members(**(changes or {}))
        ).manifest.identity

    assert identity({"encoder.onnx": b"another"}) == base
    assert identity({"scorecard.json": b"{}"}, rounding=0.4, opset=20, model="conv") == base
    series = SampleSpec("series", (4, 2), "float32")
    named = {"columns": ("a", "b"), "scale": Scale(1.0, (2.0, 3.0))}
    assert identity(sample=series) == identity(sample=series, **named)
    nearest = Group(np.array([[0, 1]], np.uint16), np.array([0, 1], np.uint8))
    image = SampleSpec("image", (16, 16, 3), "uint8")
    three = {
        "tables.bin": tiny.tables(3).to_bytes(),
        "selection.bin": Selection.plain(3).to_bytes(),
    }
    others = {
        identity({"decoder.onnx": b"another"}),
        identity(levels=(Level(0.5),)),
        identity(levels=(Level(0.75), Level(1.5))),
        identity(sample=SampleSpec("vector", (3,), "int8")),
        identity(sample=SampleSpec("vector", (3, 1), "uint8")),
        identity({"tables.bin": tiny.tables(3).to_bytes()}),
        identity({"selection.bin": Selection((nearest,)).to_bytes()}),
        identity(three, latents=3),
        identity(sample=series),
        identity(sample=image, patch=8),
        identity(sample=image, patch=16),
    }
    assert len(others | {base}) == 12


def test_steps_are_exact_text():
    for step in (0.1, 1e-30, 3.0, 1e30):
        text = Level(step).to_json()
        assert Level.from_json(text) == Level(float(np.float32(step)))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The JSON of the manifest with one value replaced, by its path."""
    manifest = copy.deepcopy(tiny.manifest_json())
    *way, last = path.split("/")
    inner: Any = manifest
    for key in way:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(last) if isinstance(inner, list) else last] = value
    return manifest


MEMBER = {"bytes": 10, "sha256": "0" * 64}
WRONG: list[tuple[str, Any]] = [
    ("format", 2),
    ("format", 0),
    ("format", "1"),
    ("format", None),
    ("nonsense", 1),
    ("sample/nonsense", 1),
    ("bound/nonsense", 1),
    ("scale/nonsense", 1),
    ("encoder/nonsense", 1),
    ("levels/0/nonsense", 1),
    ("members/encoder.onnx/nonsense", 1),
    ("members/nonsense.bin", MEMBER),
    ("members/encoder.onnx/bytes", 11),
    ("members/encoder.onnx/bytes", -1),
    ("members/encoder.onnx/bytes", 10.0),
    ("members/encoder.onnx/sha256", "0" * 64),
    ("members/encoder.onnx/sha256", "A" * 64),
    ("members/encoder.onnx/sha256", ""),
    ("members/encoder.onnx", [10, "0" * 64]),
    ("members", []),
    ("members", {}),
    ("members", None),
    ("identity", "0" * 64),
    ("identity", "0" * 63),
    ("identity", "z" * 64),
    ("identity", 7),
    ("model", 7),
    ("latents", 0),
    ("latents", 1),
    ("latents", 3),
    ("latents", 65536),
    ("latents", 10**400),
    ("latents", 2.0),
    ("latents", True),
    ("latents", "2"),
    ("levels", []),
    ("levels", {}),
    ("levels", "levels"),
    ("levels", [1]),
    ("levels/0/step", 0.75),
    ("levels/0/step", "0.75"),
    ("levels/0/step", "0x1.8p-1"),
    ("levels/0/step", " 0x1.8000000000000p-1"),
    ("levels/0/step", "0x1.8000000000001p-1"),
    ("levels/0/step", "-0x1.8000000000000p-1"),
    ("levels/0/step", "0x0.0p+0"),
    ("levels/0/step", "nan"),
    ("levels/0/step", "inf"),
    ("levels/0/step", "0x1p99999"),
    ("levels/0/step", "0x1p-200"),
    ("rounding", 0.0),
    ("rounding", 0.6),
    ("rounding", -0.5),
    ("rounding", 1),
    ("bound/metric", "ssim"),
    ("bound/value", 0.0),
    ("bound/value", -1.0),
    ("bound/value", 10**400),
    ("bound/value", 4),
    ("columns", ["a", "b", "c"]),
    ("columns", "abc"),
    ("columns", [1]),
    ("columns", None),
    ("patch", 0),
    ("patch", 2),
    ("patch", 1.0),
    ("patch", True),
    ("scale/std", 64.0),
    ("scale/std", []),
    ("scale/std", [64]),
    ("scale/std", [-1.0]),
    ("scale/std", ["64.0"]),
    ("scale/std", [64.0, 64.0]),
    ("scale/peak", -1.0),
    ("scale/std", None),
    ("sample", None),
    ("sample/kind", "image"),
    ("sample/dtype", "object"),
    ("sample/dtype", "float128"),
    ("sample/dtype", 8),
    ("sample/shape", []),
    ("sample/shape", [0]),
    ("sample/shape", [-3]),
    ("sample/shape", [3.0]),
    ("sample/shape", [True]),
    ("sample/shape", ["3"]),
    ("sample/shape", "3"),
    ("sample/shape", [1, 1, 1, 1, 3]),
    ("sample/shape", [(1 << 24) + 1]),
    ("sample/shape", [10**30]),
    ("encoder/macs", -1),
    ("decoder/parameters", 1.5),
    ("decoder", [1, 2]),
    ("opset", "18"),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[f"{p}={str(v)[:20]}" for p, v in WRONG])
def test_a_wrong_value(path, value):
    with pytest.raises(BundleError) as caught:
        Bundle.from_bytes(tiny.packed(manifest=canonical.dumps(changed(path, value))))
    assert caught.value.what


@pytest.mark.parametrize("key", sorted(tiny.manifest_json()))
def test_a_missing_key(key):
    value = tiny.manifest_json()
    del value[key]
    with pytest.raises(BundleError):
        Bundle.from_bytes(tiny.packed(manifest=canonical.dumps(value)))


TEXT = tiny.bundle().manifest.to_bytes()
NO_JSON = {
    "nothing": b"",
    "no UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "white space": TEXT + b"\n",
    "indentation": json.dumps(json.loads(TEXT), indent=1, sort_keys=True).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + TEXT,
    "NaN": TEXT.replace(b'"rounding":0.5', b'"rounding":NaN'),
    "Infinity": TEXT.replace(b'"value":4.0', b'"value":Infinity'),
    "a number beyond float64": TEXT.replace(b'"value":4.0', b'"value":1e999'),
    "a number of 10,000 digits": TEXT.replace(b'"opset":18', b'"opset":' + b"1" * 10_000),
    "a key twice": TEXT.replace(b'"opset":18', b'"opset":18,"opset":18'),
    "another way to write a number": TEXT.replace(b'"value":4.0', b'"value":4.00'),
    "an escape that is not needed": TEXT.replace(b'"mlp"', b'"\\u006dlp"'),
    "half a surrogate pair": TEXT.replace(b'"mlp"', b'"\\ud800"'),
    "deep lists": TEXT.replace(b'"mlp"', b"[" * 100_000 + b"]" * 100_000),
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "keys out of order": b'{"z":1,' + TEXT[1:],
}


@pytest.mark.parametrize("name", NO_JSON)
def test_a_manifest_that_is_not_canonical_json(name):
    assert NO_JSON[name] != TEXT
    with pytest.raises(BundleError):
        Bundle.from_bytes(tiny.packed(manifest=NO_JSON[name]))


def sealed(**changes: bytes) -> Bundle:
    """A bundle that is whole, but for what is inside of a member."""
    return Bundle.make(tiny.manifest(), tiny.members(**changes))


SERIES = SampleSpec("series", (4, 2), "float32")
IMAGE = SampleSpec("image", (16, 16, 3), "uint8")


@pytest.mark.parametrize(
    "changes",
    [
        {"sample": SERIES},
        {"sample": SERIES, "columns": ("a", "b")},
        {"sample": SERIES, "scale": Scale(1.0, (0.0, 3.0))},
        {"sample": IMAGE, "patch": 16},
        {"sample": IMAGE, "patch": 256},
    ],
    ids=str,
)
def test_series_and_images_have_manifests_too(changes):
    manifest = Bundle.make(tiny.manifest(**changes), tiny.members()).manifest
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "changes",
    [
        {"sample": SERIES, "columns": ("a",)},
        {"sample": SERIES, "columns": ("a", "a")},
        {"sample": SERIES, "columns": ("a", "")},
        {"sample": SERIES, "columns": ("a", "b", "c")},
        {"sample": SERIES, "scale": Scale(1.0, (1.0, 2.0, 3.0))},
        {"sample": SERIES, "scale": Scale(1.0, (1.0, -2.0))},
        {"sample": SERIES, "patch": 4},
        {"sample": IMAGE, "columns": ("a", "b", "c")},
        {"sample": IMAGE, "patch": 0},
        {"sample": IMAGE, "patch": 257},
        {"sample": IMAGE, "scale": Scale(1.0, (1.0, 2.0, 3.0))},
    ],
    ids=str,
)
def test_what_does_not_fit_the_sample(changes):
    with pytest.raises(BundleError, match="out of range"):
        Manifest.from_bytes(tiny.manifest(**changes).to_bytes())


def test_the_grid_of_an_image_covers_it():
    manifest = tiny.manifest(sample=IMAGE, patch=16)
    assert manifest.grid((16, 16, 3)) == (1, 1)
    assert manifest.grid((17, 33, 3)) == (2, 3)
    assert tiny.manifest(sample=SERIES).grid((4, 2)) == ()


@pytest.mark.parametrize(
    "selection",
    [
        Selection.plain(1),
        Selection.plain(3),
        Selection((Group(np.array([[0, 2]], np.uint16), np.zeros(2, np.uint8)),)),
        Selection((Group(np.array([[0, 1]] * 2, np.uint16), np.zeros(2, np.uint8), 2),)),
    ],
)
def test_a_selection_that_does_not_fit(selection):
    with pytest.raises(BundleError, match="tables for 2 latents"):
        sealed(**{"selection.bin": selection.to_bytes()})


def test_a_selection_that_is_damaged():
    for data in (b"", Selection.plain(2).to_bytes()[:-1], Selection.plain(2).to_bytes() + b"\0"):
        with pytest.raises(BundleError, match=r"selection\.bin"):
            sealed(**{"selection.bin": data})


def test_tables_that_are_damaged():
    with pytest.raises(BundleError, match=r"tables\.bin"):
        sealed(**{"tables.bin": tiny.tables().to_bytes()[:-1]})


@pytest.mark.parametrize("name", ["scorecard", "recipe", "profile"])
def test_inner_json_is_read_when_it_is_asked_for(name):
    assert getattr(tiny.bundle(), name)
    for data in (b"", b"[]", b'{"a":NaN}', b'{"a": 1}', b"[" * 100_000):
        with pytest.raises(BundleError):
            getattr(sealed(**{f"{name}.json": data}), name)


def test_reference_vectors():
    reference = tiny.bundle().reference
    assert np.array_equal(reference.inputs, tiny.INPUTS)
    assert np.array_equal(reference.outputs, tiny.INPUTS)
    assert np.array_equal(reference.symbols, tiny.SYMBOLS)


HUGE = npy_bytes(tiny.INPUTS).replace(b"(2, 3)", b"(2000000000000, 3)").replace(b" " * 12, b"", 1)
BAD_ARRAYS = {
    "nothing": ("reference/inputs.npy", b""),
    "cut": ("reference/inputs.npy", npy_bytes(tiny.INPUTS)[:-1]),
    "a byte more": ("reference/inputs.npy", npy_bytes(tiny.INPUTS) + b"\x00"),
    "a promise of terabytes": ("reference/inputs.npy", HUGE),
    "another shape": ("reference/inputs.npy", npy_bytes(tiny.INPUTS[:, :2])),
    "another dtype": ("reference/outputs.npy", npy_bytes(tiny.INPUTS.astype(np.int16))),
    "fewer outputs": ("reference/outputs.npy", npy_bytes(tiny.INPUTS[:1])),
    "fewer symbols": ("reference/symbols.npy", npy_bytes(tiny.SYMBOLS[:1])),
    "symbols of another dtype": ("reference/symbols.npy", npy_bytes(tiny.SYMBOLS.astype(np.int64))),
    "objects": (
        "reference/inputs.npy",
        npy_bytes(tiny.INPUTS).replace(b"'|u1'", b"'|O' "),
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_reference_vectors_that_do_not_fit(name):
    member, data = BAD_ARRAYS[name]
    bundle = sealed(**{member: data})
    with pytest.raises(BundleError):
        _ = bundle.reference
