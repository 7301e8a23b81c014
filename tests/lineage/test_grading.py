"""How close two files are, by what they hold."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from dver.lineage.grading import Comparison, pairs_of, same_content, worst


def safetensors(tensors: dict[str, bytes], *, order: bool = False, note: str = "") -> bytes:
    """Return a file of float32 tensors, laid out in the order given or the other way round."""
    header: dict[str, object] = {"__metadata__": {"note": note}}
    data = b""
    for name in sorted(tensors, reverse=order):
        start = len(data)
        data += tensors[name]
        shape = [len(tensors[name]) // 4]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npy(data: bytes, shape: str = "(2,)") -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def zipped(members: dict[str, bytes], year: int = 2020, *, packed: bool = False) -> bytes:
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


TENSORS = {"a": b"\x01\x02\x03\x04", "b": b"\x05" * 8}
SAME: list[tuple[str, bytes, bytes]] = [
    ("m.safetensors", safetensors(TENSORS), safetensors(TENSORS, order=True)),
    ("m.safetensors", safetensors(TENSORS), safetensors(TENSORS, note="later")),
    ("a.npz", zipped({"x.npy": npy(b"12345678")}), zipped({"x.npy": npy(b"12345678")}, 2026)),
    ("a.zip", zipped({"x": b"1", "y": b"2"}), zipped({"y": b"2", "x": b"1"}, packed=True)),
    (
        "m.pt",
        zipped(
            {"m/data.pkl": pickle.dumps([1]), "m/data/0": b"w", "m/.data/serialization_id": b"1"}
        ),
        zipped(
            {"n/data.pkl": pickle.dumps([1]), "n/data/0": b"w", "n/.data/serialization_id": b"2"}
        ),
    ),
    ("t.csv.gz", gzip.compress(b"rows", mtime=1), gzip.compress(b"rows", 1, mtime=2)),
    ("t.csv", b"a,b\n1.50,x\n", b'a,b\r\n1.5,"x"\r\n'),
    ("t.tsv", b"a\tb\n1\tx\n", b'a\tb\r\n1.0\t"x"\r\n'),
    ("m.json", b'{"a": 1, "b": [2]}', b'{"b":[2],"a":1}'),
]
OTHER: list[tuple[str, bytes, bytes, str]] = [
    ("m.safetensors", safetensors(TENSORS), safetensors({**TENSORS, "a": b"\0" * 4}), "tensor a "),
    ("m.safetensors", safetensors(TENSORS), safetensors({"a": TENSORS["a"]}), "tensor b is gone"),
    ("m.safetensors", safetensors(TENSORS), safetensors({**TENSORS, "c": b""}), "c is new"),
    ("m.safetensors", safetensors(TENSORS), safetensors({**TENSORS, "b": b"1234"}), "b is F32"),
    ("m.safetensors", safetensors(TENSORS), b"short", "not comparable"),
    ("m.safetensors", safetensors(TENSORS), safetensors(TENSORS)[:-1], "b differs"),
    ("m.safetensors", safetensors(TENSORS), b"\xff" * 64, "not comparable"),
    ("a.npy", npy(b"12345678"), npy(b"12345679"), "array differs"),
    ("a.npy", npy(b"12345678"), npy(b"12345678", "(1, 2)"), "is {"),
    (
        "a.npz",
        zipped({"x.npy": npy(b"12345678")}),
        zipped({"x.npy": npy(b"1234567x")}),
        "x differs",
    ),
    ("a.zip", zipped({"x": b"1"}), zipped({"x": b"2"}), "x differs"),
    ("a.zip", zipped({"x": b"1"}), zipped({"x": b"1", "y": b""}), "y is new"),
    ("a.zip", zipped({"x": b"1"}), b"PK", "not comparable"),
    ("m.pkl", pickle.dumps({"a": 1}), pickle.dumps({"a": 2}), "opcode"),
    ("m.pkl", pickle.dumps({"a": 1}), b"\x80", "not comparable"),
    ("t.gz", gzip.compress(b"rows", mtime=1), gzip.compress(b"rowz", mtime=1), "differs"),
    ("t.csv", b"a\n1\n", b"a\n2\n", "row 2 differs"),
    ("t.csv", b"a\n1\n", b"a\n", "fewer rows"),
    ("t.csv", b"a\n1\n", b"a\n1\n3\n", "more rows"),
    ("t.csv", b"a\n1\n", b"a\n\xff\n", "not comparable"),
    ("m.json", b'{"a": 1}', b'{"a": 2}', "values differ"),
    ("m.bin", b"1", b"2", "nothing is known"),
]


@pytest.mark.parametrize(("name", "one", "other"), SAME)
def test_the_same_content(tmp_path: Path, name: str, one: bytes, other: bytes) -> None:
    assert one != other
    found = compared(tmp_path, name, one, other)
    assert found.same, found.note


@pytest.mark.parametrize(("name", "one", "other", "words"), OTHER)
def test_other_content(tmp_path: Path, name: str, one: bytes, other: bytes, words: str) -> None:
    found = compared(tmp_path, name, one, other)
    assert not found.same
    assert words in found.note


def test_a_pickle_is_compared_by_what_it_does(tmp_path: Path) -> None:
    value = {"weights": [0.5, 0.25], "names": ["a", "a"], "self": ("x", b"y")}
    one = pickle.dumps(value, protocol=4)
    other = b"\x80\x04" + one[2 + 9 :]  # without its frame
    assert pickle.loads(other) == value
    assert compared(tmp_path, "m.pkl", one, other).same


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    evil = b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "pwned").encode()
    found = compared(tmp_path, "m.pkl", evil, evil + b"")
    assert found.same
    assert not compared(tmp_path, "m.pkl", evil, pickle.dumps(1)).same
    assert not (tmp_path / "pwned").exists()


def compared(tmp_path: Path, name: str, one: bytes, other: bytes) -> Comparison:
    for where, data in (("one", one), ("other", other)):
        (tmp_path / where).mkdir(exist_ok=True)
        (tmp_path / where / name).write_bytes(data)
    return same_content(name, tmp_path / "one" / name, tmp_path / "other" / name)


def test_directories_are_compared_file_by_file(tmp_path: Path) -> None:
    for top in ("one", "other"):
        (tmp_path / top / "sub").mkdir(parents=True)
        (tmp_path / top / "same").write_bytes(b"1")
        (tmp_path / top / "sub" / "x").write_bytes(top.encode())
    one, other = tmp_path / "one", tmp_path / "other"
    assert pairs_of(one, other) == [("sub/x", one / "sub/x", other / "sub/x")]
    (other / "more").touch()
    assert pairs_of(one, other) is None
    assert pairs_of(one / "same", other) is None


def test_the_worst_grade_decides() -> None:
    assert worst([]) == "exact"
    assert worst(["exact", "content", "exact"]) == "content"
    assert worst(["diverged", "metric"]) == "diverged"


def test_members_larger_than_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dver.lineage.grading.MAX_IN_MEMORY", 100)
    bomb = zipped({"x.npy": npy(bytes(10_000))}, packed=True)
    other = zipped({"x.npy": npy(bytes(10_000))}, 2026, packed=True)
    assert "larger than" in compared(tmp_path, "a.npz", bomb, other).note
