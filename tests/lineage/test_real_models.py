"""Real models, trained by scikit-learn on the data that comes with it, and made again.

One thing changes at a time: data, code, a parameter, an environment variable. All is pushed, the
branch goes on, and each old model is made again by its commit in a fresh clone. The table in
``docs/lineage.md`` is what these tests find.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dver.lineage import grading
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

PYTHON = sys.executable

#: Writes a bundled data set as CSV, the class in the last column.
DATA = """\
import sys
import numpy as np
from sklearn import datasets
found = getattr(datasets, "load_" + sys.argv[1])()
rows = np.column_stack([found.data, found.target])
rows = rows[np.random.default_rng(0).permutation(len(rows))]
for name, part in (("train", rows[: len(rows) // 2]), ("test", rows[len(rows) // 2 :])):
    np.savetxt(f"data/{name}.csv", part, fmt="%.6g", delimiter=",")
"""

DIGITS = """\
import json, os, pickle
import numpy as np
from sklearn.linear_model import LogisticRegression

params = json.load(open("params.json"))
scale = float(os.environ.get("PIXEL_SCALE", "16"))
train, test = (np.loadtxt(f"data/{name}.csv", delimiter=",") for name in ("train", "test"))
model = LogisticRegression(C=params["C"], max_iter=1000)
model.fit(train[:, :-1] / scale, train[:, -1])
pickle.dump(model, open("model.pkl", "wb"))
json.dump({"accuracy": model.score(test[:, :-1] / scale, test[:, -1])}, open("metrics.json", "w"))
"""

#: The seed is a parameter; none stands for as many different forests as there are runs.
WINE = """\
import gzip, json, pickle
import numpy as np
from sklearn.ensemble import RandomForestClassifier

params = json.load(open("params.json"))
train, test = (np.loadtxt(f"data/{name}.csv", delimiter=",") for name in ("train", "test"))
model = RandomForestClassifier(10, random_state=params["seed"])
model.fit(train[:, :-1], train[:, -1])
pickle.dump(model, open("model.pkl", "wb"))
pickle.dump(model, gzip.open("model.pkl.gz", "wb"))
np.savez_compressed("importances.npz", found=model.feature_importances_)
json.dump({"accuracy": model.score(test[:, :-1], test[:, -1])}, open("metrics.json", "w"))
"""

#: Small neural networks, by who trains them. PyTorch is no part of what the tests install, since it
#: is larger than all else together: with it in the environment there is one more test.
NETWORKS = {
    "sklearn": """\
import json, pickle
import numpy as np
from sklearn.neural_network import MLPClassifier

params = json.load(open("params.json"))
train, test = (np.loadtxt(f"data/{name}.csv", delimiter=",") for name in ("train", "test"))
model = MLPClassifier((16,), random_state=params["seed"], max_iter=20)
model.fit(train[:, :-1] / 16, train[:, -1])
pickle.dump(model, open("model.pkl", "wb"))
json.dump({"accuracy": model.score(test[:, :-1] / 16, test[:, -1])}, open("metrics.json", "w"))
""",
    "torch": """\
import json
import numpy as np
import torch

params = json.load(open("params.json"))
torch.manual_seed(params["seed"])
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
tables = (np.loadtxt(f"data/{name}.csv", delimiter=",") for name in ("train", "test"))
train, test = (torch.tensor(one, dtype=torch.float32) for one in tables)
layers = torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
model = torch.nn.Sequential(*layers)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(50):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(train[:, :-1] / 16), train[:, -1].long())
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pkl")
right = model(test[:, :-1] / 16).argmax(1) == test[:, -1].long()
json.dump({"accuracy": right.float().mean().item()}, open("metrics.json", "w"))
""",
}
IMPORTABLE = [name for name in NETWORKS if importlib.util.find_spec(name)]


class Training:
    """A repository with a bundled data set, a training script and its parameters."""

    def __init__(
        self, git: GitRepo, dataset: str, script: str, params: dict[str, Any], outs: list[str]
    ) -> None:
        self.git, self.path, self.dver, self.outs = git, git.path, Dver(git.path), outs
        self.origin = git.path.parent / "origin.git"
        GitRepo.init(self.origin, "--bare")
        self.dver("init", "-q")
        (self.path / "data").mkdir()
        subprocess.run([PYTHON, "-c", DATA, dataset], cwd=self.path, check=True)
        self.write("train.py", script)
        self.write("params.json", json.dumps(params))
        self.dver("add", "-q", "data")
        self.dver("remote", "add", "-q", "store", str(git.path.parent / "store"))
        git.git("remote", "add", "origin", str(self.origin))
        git.commit("data and code")

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    def train(self, tag: str, **env: str) -> dict[str, Any]:
        """Record a run, commit what it made, and tag it."""
        outs = [word for name in self.outs for word in ("-o", f"{name}:model")]
        result: dict[str, Any] = self.dver(
            "run", "--json", "--name", "train", "-d", "data:train", "-p", "params.json", *outs,
            "-m", "metrics.json", "--env-var", "PIXEL_SCALE", "--env-var", "OPENBLAS_NUM_THREADS",
            "--", PYTHON, "train.py", env={"OPENBLAS_NUM_THREADS": "1", **env},
        ).json["result"]  # fmt: skip
        self.git.commit(tag)
        self.git.git("tag", tag)
        return result

    def fresh_clone(self, tmp_path: Path) -> Dver:
        """Push all, take the working repository away, and clone what was pushed."""
        self.git.git("push", "-q", "origin", "main", "--tags")
        self.dver("push", "-q", "--all")
        self.git.path.rename(tmp_path / "gone")
        return Dver(GitRepo.clone(self.origin, tmp_path / "clone").path)


def grades(result: dict[str, Any]) -> dict[str, str]:
    return {one["path"]: one["grade"] for one in result["outputs"]}


def changed(dver: Dver, old: str, new: str) -> set[str]:
    """Return the classes of things that differ between the models of two commits."""
    found = dver("lineage", "--json", "diff", f"model.pkl@{old}", f"model.pkl@{new}").result
    return {one["kind"] for one in found["rows"] if len(set(one["values"])) > 1}


def test_digits_one_change_at_a_time(git_repo: GitRepo, tmp_path: Path) -> None:
    work = Training(git_repo, "digits", DIGITS, {"C": 1.0}, ["model.pkl"])
    made = {"first": work.train("first")}

    rows = (work.path / "data/train.csv").read_text().splitlines(keepends=True)
    work.write("data/train.csv", "".join(rows[:-100]))
    work.dver("add", "-q", "data")
    made["data"] = work.train("data")

    work.write("train.py", DIGITS.replace("max_iter=1000", "max_iter=1000, fit_intercept=False"))
    made["code"] = work.train("code")

    work.write("params.json", '{"C": 0.1}')
    made["params"] = work.train("params")

    made["variable"] = work.train("variable", PIXEL_SCALE="8")

    models = {
        tag: next(one["oid"] for one in result["outputs"] if one["path"] == "model.pkl")
        for tag, result in made.items()
    }
    assert len(set(models.values())) == len(models), "each change matters"

    work.write("train.py", "raise SystemExit('not this one')")
    work.git.commit("broken since")
    clone = work.fresh_clone(tmp_path)
    # What was made first and last: from here all is different, or the code and the environment.
    for tag in ("first", "variable"):
        found = clone("reproduce", "--json", f"model.pkl@{tag}").result
        assert found["record"] == made[tag]["record"]
        assert (found["grade"], grades(found)) == (
            "exact",
            {"metrics.json": "exact", "model.pkl": "exact"},
        ), tag
        assert found["differs"] == []
    expected = {"data": "data", "code": "code", "params": "params", "variable": "environment"}
    tags = list(made)
    for old, new in itertools.pairwise(tags):
        classes = changed(clone, old, new)
        assert expected[new] in classes
        assert not classes & (set(expected.values()) - {expected[new], "code"}), (new, classes)


def test_wine_exact_content_and_metric(git_repo: GitRepo, tmp_path: Path) -> None:
    outs = ["model.pkl", "model.pkl.gz", "importances.npz"]
    work = Training(git_repo, "wine", WINE, {"seed": 0}, outs)
    work.train("seeded")
    work.write("params.json", '{"seed": null}')
    work.train("noisy")
    clone = work.fresh_clone(tmp_path)

    found = clone("reproduce", "--json", "model.pkl@seeded", code=20).json["result"]
    assert found["grade"] == "content"
    assert grades(found) == {
        "importances.npz": "exact",
        "metrics.json": "exact",
        "model.pkl": "exact",
        "model.pkl.gz": "content",  # gzip writes the time of day
    }

    tolerant = ("--absolute", "0.5")
    found = clone("reproduce", "--json", *tolerant, "model.pkl@noisy", code=21).json["result"]
    assert found["grade"] == "metric"
    assert grades(found)["model.pkl"] == "diverged"


@pytest.mark.parametrize("library", IMPORTABLE)
def test_a_small_neural_network(git_repo: GitRepo, tmp_path: Path, library: str) -> None:
    work = Training(git_repo, "digits", NETWORKS[library], {"seed": 0}, ["model.pkl"])
    work.train("first")
    work.write("params.json", '{"seed": 1}')
    work.train("second")
    clone = work.fresh_clone(tmp_path)
    found = clone("reproduce", "--json", "--expect", "content", "model.pkl@first").result
    assert grades(found)["metrics.json"] == "exact"
    # torch writes the name of the file and the like beside the tensors.
    assert found["grade"] in (("exact",) if library == "sklearn" else ("exact", "content"))
    assert "params" in changed(clone, "first", "second")


def test_what_pickles_of_one_model_say(tmp_path: Path) -> None:
    """Models are compared without loading them: by the opcodes of their pickles."""
    script = (
        "import pickle, pickletools\n"
        "from sklearn.dummy import DummyClassifier\n"
        "def dumped(strategy):\n"
        "    model = DummyClassifier(strategy=strategy).fit([[0.0], [1.0]], [0, 1])\n"
        "    return pickle.dumps(model, 5)\n"
        "open('a.pkl', 'wb').write(dumped('prior'))\n"
        "open('b.pkl', 'wb').write(pickletools.optimize(dumped('prior')))\n"
        "open('c.pkl', 'wb').write(dumped('uniform'))\n"
    )
    subprocess.run([PYTHON, "-c", script], cwd=tmp_path, check=True)
    first, optimized, other = (tmp_path / f"{name}.pkl" for name in "abc")
    assert first.read_bytes() != optimized.read_bytes()
    assert grading.same_content("m.pkl", first, optimized).same
    assert not grading.same_content("m.pkl", first, other).same
