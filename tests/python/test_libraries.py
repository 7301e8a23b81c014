"""The libraries that people read data with, each as its own documentation says."""

from __future__ import annotations

from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dver.python import sessions
from tests.python.conftest import Project

V1 = {"rev": "v1"}


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """``data/train.parquet`` and ``data/parts/``: 1,000 rows in v1, 10 in the work tree."""
    made = Project.create(tmp_path / "repo")
    (made.path / "data/parts").mkdir(parents=True)
    write(made, 1000)
    made.git("tag", "v1")
    write(made, 10)
    made.push_to(str(tmp_path / "remote"))
    made.lose_store()
    sessions.forget()
    monkeypatch.chdir(made.path)
    return made


def write(project: Project, rows: int) -> None:
    frame = pa.table({"a": range(rows), "b": [str(i) for i in range(rows)]})
    pq.write_table(frame, project.path / "data/train.parquet", row_group_size=200)
    frame.to_pandas().to_csv(project.path / "data/train.csv", index=False)
    for i in range(2):
        pq.write_table(
            frame.slice(i * rows // 2, rows // 2), project.path / f"data/parts/{i}.parquet"
        )
    project.add("data/train.parquet", "data/train.csv", "data/parts")
    project.commit(f"{rows} rows")


def test_pandas(tables: Project) -> None:
    old = pd.read_parquet("dver://data/train.parquet", storage_options=V1)
    assert (len(old), old.a.sum()) == (1000, 499_500)
    assert len(pd.read_parquet("dver://data/train.parquet")) == 10
    assert len(pd.read_parquet("dver://v1@data/train.parquet", columns=["a"])) == 1000
    assert len(pd.read_csv("dver://data/train.csv", storage_options=V1)) == 1000
    chunks = pd.read_csv("dver://v1@data/train.csv", chunksize=300)
    assert [len(chunk) for chunk in chunks] == [300, 300, 300, 100]
    parts = pd.read_parquet("dver://data/parts", storage_options=V1)
    assert len(parts) == 1000
    with pytest.raises(PermissionError, match="cannot be changed"):
        old.to_csv("dver://data/new.csv")


def test_polars(tables: Project) -> None:
    fs = fsspec.filesystem("dver", rev="v1")
    with fs.open("data/train.parquet") as file:
        assert pl.read_parquet(file).height == 1000
    table = pl.read_parquet("dver://v1@data/train.parquet", use_pyarrow=True)
    assert table.height == 1000
    lazy = pl.scan_pyarrow_dataset(ds.dataset("data/parts", filesystem=fs))
    assert lazy.filter(pl.col("a") < 7).collect().height == 7


def test_pyarrow(tables: Project) -> None:
    fs = fsspec.filesystem("dver", rev="v1")
    parts = ds.dataset("data/parts", filesystem=fs, format="parquet")
    assert parts.count_rows() == 1000
    assert parts.to_table(filter=ds.field("a") >= 990).num_rows == 10
    assert pq.read_table("data/train.parquet", filesystem=fs, columns=["b"]).num_rows == 1000
    assert pq.read_metadata("data/train.parquet", filesystem=fs).num_row_groups == 5


def test_duckdb(tables: Project) -> None:
    with duckdb.connect() as db:
        db.register_filesystem(fsspec.filesystem("dver"))
        query = "select count(*), max(a) from '{}'"
        assert db.sql(query.format("dver://v1@data/train.parquet")).fetchall() == [(1000, 999)]
        assert db.sql(query.format("dver://data/train.parquet")).fetchall() == [(10, 9)]
        assert db.sql(query.format("dver://v1@data/parts/*.parquet")).fetchall() == [(1000, 999)]


@pytest.mark.filterwarnings("ignore")
def test_datasets(tables: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets

    datasets.disable_progress_bars()
    load = {"split": "train", "cache_dir": str(tmp_path / "cache"), "storage_options": V1}
    whole = datasets.load_dataset("parquet", data_files="dver://data/parts/*.parquet", **load)
    assert whole.num_rows == 1000
    lazily = datasets.load_dataset(
        "csv", data_files="dver://data/train.csv", streaming=True, **load
    )
    assert next(iter(lazily)) == {"a": 0, "b": 0}
