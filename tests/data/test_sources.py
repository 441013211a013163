"""Files, folders and pipes -> samples."""

from __future__ import annotations

import io
import os
import zipfile
from itertools import islice

import numpy as np
import pytest

from rdedge.data import builtin
from rdedge.data.sources import expand, is_key, read, read_stream
from rdedge.errors import InputError, ShapeError, SourceError
from rdedge.types import SampleSpec
from tests.format import hostile

X = np.arange(12, dtype=np.int16).reshape(3, 4)
SPEC = SampleSpec("vector", (4,), "int16")


def npz(path, compressed=False, **arrays):
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def text(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# .npy


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", X)
    found = read(tmp_path / "a.npy")
    assert np.array_equal(found.samples, X)
    assert (found.name, found.kind, found.detail, found.from_text) == ("a.npy", "npy", {}, False)
    assert found.source_bytes == (tmp_path / "a.npy").stat().st_size
    assert found.spec == SPEC
    assert read(tmp_path / "a.npy", "other/name.npy").name == "other/name.npy"


@pytest.mark.parametrize("array", [X.astype(">i2"), np.asfortranarray(X), X[:, ::-1], X[::2]])
def test_arrays_come_out_native_and_contiguous(tmp_path, array):
    np.save(tmp_path / "A.NPY", array)
    (tmp_path / "A.NPY.npy").rename(tmp_path / "A.NPY")
    found = read(tmp_path / "A.NPY").samples
    assert np.array_equal(found, array)
    assert found.dtype == np.int16
    assert found.flags.c_contiguous


def test_one_sample_without_a_batch_axis(tmp_path):
    np.save(tmp_path / "a.npy", X)
    found = read(tmp_path / "a.npy", spec=SampleSpec("vector", (3, 4), "int16"))
    assert found.samples.shape == (1, 3, 4)
    assert found.detail == {"order": "single"}


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.array([{}, "a"], object), ShapeError),
        (np.array(["a", "b"]), ShapeError),
        (np.zeros((2, 2), np.complex64), ShapeError),
        (np.zeros((2, 2), bool), ShapeError),
        (np.zeros(3, [("a", "f4"), ("b", "f4")]), ShapeError),
        (np.float32(1), ShapeError),
        (np.zeros(5, np.float32), ShapeError),
        (np.zeros((0, 4), np.float32), ShapeError),
        (np.zeros((4, 0), np.float32), ShapeError),
    ],
)
def test_arrays_that_are_no_samples(tmp_path, array, error):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(error) as caught:
        read(tmp_path / "a.npy")
    assert caught.type is error
    assert "a.npy" in caught.value.what


def test_five_axes_are_no_sample(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 1, 1, 1, 1, 3), np.float32))
    with pytest.raises(ShapeError):
        _ = read(tmp_path / "a.npy").spec


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"\x00", b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06"])
def test_empty_and_broken_files(tmp_path, name, content):
    with pytest.raises(SourceError):
        read(text(tmp_path, content, name))


@pytest.mark.parametrize("name", ["a.txt", "a", "a.feather", "a.npy.gz", ".npy"])
def test_files_of_other_kinds(tmp_path, name):
    with pytest.raises(SourceError, match="kind"):
        read(text(tmp_path, b"1,2", name))


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    for name in ("folder.npy", "missing.npy", "x" * 300 + ".npy"):
        with pytest.raises(SourceError):
            read(tmp_path / name)


# .npz


@pytest.mark.parametrize("compressed", [False, True])
def test_npz(tmp_path, compressed):
    found = read(npz(tmp_path / "a.npz", compressed, data=X))
    assert np.array_equal(found.samples, X)
    assert (found.kind, found.detail) == ("npz", {"key": "data"})


def test_several_arrays(tmp_path):
    path = npz(tmp_path / "a.npz", one=X, two=X + 1)
    with pytest.raises(SourceError, match="one, two") as caught:
        read(path)
    assert "--key" in caught.value.do
    found = read(path, key="two")
    assert np.array_equal(found.samples, X + 1)
    assert found.detail == {"key": "two"}
    with pytest.raises(SourceError, match="'three'"):
        read(path, key="three")


def zipped(tmp_path, *members, **options):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def npy_bytes(array=X):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("key", ["../a", "/etc/a", "a\x01", "", "a" * 256])
def test_names_of_arrays_that_could_not_be_written_back(tmp_path, key):
    assert not is_key(key)
    with pytest.raises(SourceError):
        read(zipped(tmp_path, (f"{key}.npy", npy_bytes())))


@pytest.mark.parametrize("key", ["a", "a/b", "file", "allow_pickle", "é", "..a", "a b"])
def test_names_of_arrays_that_can(tmp_path, key):
    assert is_key(key)
    assert read(zipped(tmp_path, (f"{key}.npy", npy_bytes()))).detail == {"key": key}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path):
    path = zipped(tmp_path, ("a.npy", npy_bytes()), ("a.npy", npy_bytes()))
    for key in (None, "a"):
        with pytest.raises(SourceError):
            read(path, key=key)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_numpy_does_not_write(tmp_path, method):
    with pytest.raises(SourceError):
        read(zipped(tmp_path, ("a.npy", npy_bytes()), compression=method))


def test_sizes_that_lie(tmp_path):
    """A member that says it holds gigabytes, with a header that says so too."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (125000000, 8)}"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    path = zipped(tmp_path, ("a.npy", member))
    data = bytearray(path.read_bytes())
    claim = (len(member) - 64 + 8_000_000_000).to_bytes(8, "little")[:4]
    data[22:26] = claim
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = claim
    path.write_bytes(data)
    with pytest.raises(SourceError):
        read(path)
    assert hostile.peak_bytes(lambda _: read(path), b"") < 1_000_000


@pytest.mark.filterwarnings("ignore")  # NumPy and Python warn of some damaged headers
@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_npz_files_give_samples_or_a_typed_error(tmp_path, compressed):
    path = npz(tmp_path / "a.npz", compressed, a=X[:, :2])
    data = path.read_bytes()
    # Every seventh bit, so all places within a byte in turn.
    for damaged in [*islice(hostile.flips(data), 0, None, 7), *hostile.cuts(data)]:
        path.write_bytes(damaged)
        found = hostile.outcome(lambda _: read(path).samples, b"")
        assert isinstance(found, np.ndarray | InputError)


def test_an_encrypted_member(tmp_path):
    path = npz(tmp_path / "a.npz", a=X)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError):
        read(path)


# .csv


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv(tmp_path, delimiter, end, mark):
    rows = [["a", "b"], ["1", "2.5"], ["-3e2", " 4 "]]
    content = mark + end.join(delimiter.join(row) for row in rows) + end
    found = read(text(tmp_path, content))
    assert found.samples.tolist() == [[1.0, 2.5], [-300.0, 4.0]]
    assert found.samples.dtype == np.float32
    assert found.detail == {"delimiter": delimiter, "header": ["a", "b"]}
    assert found.from_text
    headless = read(text(tmp_path, mark + end.join(delimiter.join(row) for row in rows[1:])))
    assert headless.samples.tolist() == found.samples.tolist()
    assert headless.detail == {"delimiter": delimiter}


def test_csv_of_one_column_and_with_empty_lines(tmp_path):
    assert read(text(tmp_path, "\n\nx\n1\n\n2\n \n")).samples.tolist() == [[1.0], [2.0]]
    assert read(text(tmp_path, "\n\n1;2\n3;4\n\n")).samples.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_quoted_headers(tmp_path):
    found = read(text(tmp_path, '"a;b";"c ""d"""\n1;2\n'))
    assert found.detail["header"] == ["a;b", 'c "d"']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1,2\n3,x\n", "row 2, column 2 is 'x'"),
        ("a,b\n3,x\n", "row 2, column 2 is 'x'"),
        ("1,2\n3,\n", "column 2 is ''"),
        ("1,2\n3,1_000\n", "1_000"),
        ("1,2\n3\n", "row 2 has 1 cells"),
        ("a,b\n1,2\n3,4,5\n", "row 3 has 3 cells"),
        ("a,b\n", "no row"),
        ("a,b", "no row"),
        ("\ufeff", "empty"),
        ("\n\n \n", "empty"),
        (b"\xff\xfe1\x00,\x002\x00", "UTF-8"),
        ('1,2\n3,"' + "x" * 200_000 + '"', "not a table"),
    ],
)
def test_csv_that_is_no_table_of_numbers(tmp_path, content, said):
    with pytest.raises(SourceError) as caught:
        read(text(tmp_path, content))
    assert said in caught.value.what


def test_dtype_of_text(tmp_path):
    def dtype(content: str) -> str:
        return str(read(text(tmp_path, content)).samples.dtype)

    assert dtype("0.1234567,1\n") == "float32"
    assert dtype("0.12345678,1\n") == "float64"
    assert dtype("1e39,1\n") == "float64"
    assert dtype("0.00001000,1\n") == "float32"


def test_text_takes_the_dtype_of_the_bundle(tmp_path):
    path = text(tmp_path, "1,2,3,4\n-5,6,7,32767\n")
    assert read(path, spec=SPEC).samples.dtype == np.int16
    square = read(path, spec=SampleSpec("vector", (2, 2), "float64"))
    assert square.samples.shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        ("32768", "int16"),
        ("-32769", "int16"),
        ("-1", "uint8"),
        ("0.5", "int16"),
        ("nan", "int64"),
        ("inf", "int64"),
        ("1e30", "int64"),
        ("9223372036854775808", "int64"),
        ("1e400", "uint8"),
    ],
)
def test_numbers_that_the_bundle_cannot_take(tmp_path, cell, dtype):
    path = text(tmp_path, f"a,b\n1,{cell}\n")
    with pytest.raises(ShapeError) as caught:
        read(path, spec=SampleSpec("vector", (2,), dtype))
    assert "row 2, column 2" in caught.value.what


# Pipes


def test_pipes():
    raw = X.astype("<i2").tobytes()
    found = read_stream(raw, SPEC)
    assert np.array_equal(found.samples, X)
    assert (found.kind, found.name, found.source_bytes) == ("raw", "stdin", len(raw))
    assert np.array_equal(read_stream(npy_bytes(X.astype(">i2")), SPEC).samples, X)
    assert read_stream(npy_bytes(), SPEC, "x").kind == "npy"


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(9), npy_bytes()[:-1], b"\x93NUMPY"])
def test_pipes_that_hold_no_samples(data):
    with pytest.raises(SourceError):
        read_stream(data, SPEC)


# Folders and names


def test_folders_in_the_order_of_their_names(tmp_path):
    for name in ("b.npy", "a/z.CSV", "a/b.npz", "note.txt", "c.npy.part"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = [name for _, name in expand([tmp_path / "data"])]
    assert names == ["data/a/b.npz", "data/a/z.CSV", "data/b.npy"]


def test_the_folder_one_is_in(tmp_path, monkeypatch):
    (tmp_path / "a.npy").touch()
    monkeypatch.chdir(tmp_path)
    path = next(iter(expand([type(tmp_path)()])))
    assert path[1] == f"{tmp_path.name}/a.npy"


def test_names_that_collide(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.npy").touch()
    with pytest.raises(SourceError, match=r"both be called a\.npy"):
        list(expand([tmp_path / "x" / "a.npy", tmp_path / "y" / "a.npy"]))
    assert len(list(expand([tmp_path / "x", tmp_path / "y"]))) == 2
    with pytest.raises(SourceError):
        list(expand([tmp_path / "x", tmp_path / "x"]))


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing", "x" * 300, "a\x00b"):
        with pytest.raises(SourceError):
            list(expand([tmp_path / name]))


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_files_of_other_kinds_keep_their_names(tmp_path):
    path = tmp_path / "x.dat"
    path.touch()
    assert list(expand([path])) == [(path, "x.dat")]


def test_the_digits():
    pytest.importorskip("sklearn")
    found = builtin.load("digits")
    assert (found.samples.shape, str(found.samples.dtype)) == ((1797, 8, 8), "uint8")
    assert (found.samples.min(), found.samples.max()) == (0, 16)


def test_a_damaged_first_row_is_not_taken_for_a_header(tmp_path):
    """It would be dropped in silence."""
    with pytest.raises(SourceError, match=r"row 1, column 3 is 'oops'"):
        read(text(tmp_path, "1,2,oops,4\n1,2,3,4\n"))
    found = read(text(tmp_path, ",0,1\n7,2,3\n8,4,5\n"))
    assert found.detail["header"] == ["", "0", "1"], "as pandas writes an index without a name"
    assert found.samples.shape == (2, 3)
