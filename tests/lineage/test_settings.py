"""Making a model again in the environment that was recorded: virtual environments, containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dver.formats import record
from tests.lineage.conftest import Project

SCRIPT = """\
import sys
import tinymodel
open("model.bin", "w").write(tinymodel.train(open("data/rows.csv").read()))
"""
MODULE = """\
def train(text):
    return "weights of version {version}: " + str(len(text))
"""
INFO = "Metadata-Version: 2.1\nName: tinymodel\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(directory: Path, version: str) -> Path:
    """Write a wheel with one module."""
    directory.mkdir(exist_ok=True)
    path = directory / f"tinymodel-{version}-py3-none-any.whl"
    info = f"tinymodel-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinymodel.py", MODULE.format(version=version))
        archive.writestr(f"{info}/METADATA", INFO.format(version=version))
        archive.writestr(f"{info}/WHEEL", WHEEL)
        archive.writestr(f"{info}/RECORD", "")
    return path


class Lab:
    """A project whose models were made in a virtual environment of its own, which is gone."""

    def __init__(self, project: Project, tmp_path: Path) -> None:
        self.project, self.dver = project, project.dver
        self.wheels = tmp_path / "wheels"
        self.cache = tmp_path / "cache"
        project.write("train.py", SCRIPT)
        project.commit("script")
        first = tmp_path / "first"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", first], check=True)
        (site,) = first.glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel(self.wheels, "1.0")) as archive:
            archive.extractall(site)
        python = os.fspath(first / "bin" / "python")
        self.made = self.run(python)
        project.commit("model")
        shutil.rmtree(first)

    def run(self, *python: str, **options: Any) -> dict[str, Any]:
        words = [word for name, text in options.items() for word in (f"--{name}", str(text))]
        args = ("--name", "train", "-d", "data:train", "-o", "model.bin:model", *words)
        found: dict[str, Any] = self.dver("run", "--json", *args, "--", *python, "train.py").result
        return found

    def reproduce(self, *options: str, code: int = 0, **env: str) -> dict[str, Any]:
        where = {
            "XDG_CACHE_HOME": str(self.cache),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            **env,
        }
        done = self.dver("reproduce", "--json", *options, "model.bin@HEAD", code=code, env=where)
        found: dict[str, Any] = done.json["result"]
        return found


@pytest.fixture
def lab(project: Project, tmp_path: Path) -> Lab:
    return Lab(project, tmp_path)


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_a_virtual_environment_with_the_recorded_packages(lab: Lab) -> None:
    # Here there is another version, and in the index a newer one.
    wheel(lab.wheels, "2.0")
    result = lab.reproduce("--env", "venv")
    assert (result["grade"], result["environment"], result["differs"]) == ("exact", "venv", [])
    value = record.decode((lab.project.path / result["file"]).read_bytes())
    assert value.verdict is not None
    assert value.verdict.environment == "venv"
    (built,) = [one for one in (lab.cache / "dver" / "environments").iterdir() if one.is_dir()]
    assert (built / "complete").is_file()
    # It is kept: with the index gone it is used again.
    shutil.rmtree(lab.wheels)
    moment = (built / "complete").stat().st_mtime_ns
    assert lab.reproduce("--env", "venv")["grade"] == "exact"
    assert (built / "complete").stat().st_mtime_ns == moment


def test_a_package_that_is_not_to_be_had(lab: Lab) -> None:
    next(lab.wheels.iterdir()).unlink()
    result = lab.reproduce("--env", "venv", code=23)
    assert (result["grade"], result["exit"]) == ("blocked", None)
    (missing,) = result["missing"]
    assert "no tinymodel==1.0 " in missing
    assert str(lab.wheels) in missing
    assert not [one for one in (lab.cache / "dver" / "environments").iterdir() if one.is_dir()]
    value = record.decode((lab.project.path / result["file"]).read_bytes())
    assert value.verdict is not None
    assert (value.verdict.environment, value.verdict.differs) == ("venv", (missing,))


def test_uv_does_the_same(lab: Lab, tmp_path: Path) -> None:
    alone = str(tmp_path / "bin")
    for name in ("git", "python3"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    result = lab.reproduce("--env", "uv", code=23, PATH=alone)
    assert "there is no uv on PATH" in result["missing"][0]
    executable(
        tmp_path / "bin" / "uv",
        f"#!{sys.executable}\n"
        "import subprocess, sys, pathlib, zipfile\n"
        "args = sys.argv[1:]\n"
        "if args[0] == 'venv':\n"
        "    assert args[1:3] == ['-q', '--python'], args\n"
        f"    assert args[3] == '{sys.version_info.major}.{sys.version_info.minor}', args\n"
        "    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', args[4]], check=True)\n"
        "else:\n"
        "    assert args[:4] == ['pip', 'install', '--no-deps', '--python'], args\n"
        "    wanted = pathlib.Path(args[6]).read_text()\n"
        "    assert wanted == 'tinymodel==1.0\\n', wanted\n"
        "    site, = pathlib.Path(args[4]).parent.parent.glob('lib/python*/site-packages')\n"
        f"    zipfile.ZipFile({str(lab.wheels)!r} + '/tinymodel-1.0-py3-none-any.whl')"
        ".extractall(site)\n",
    )
    result = lab.reproduce("--env", "uv", PATH=alone)
    assert (result["grade"], result["environment"]) == ("exact", "uv")


ENGINE = """\
#!{python}
import os, sys
with open({log!r}, "a") as log:
    log.write("\\x1f".join(sys.argv[1:]) + "\\n")
args = sys.argv[1:]
if args[:2] == ["image", "inspect"]:
    sys.exit(args[2] not in {images!r})
if args[0] == "images":
    print("example.org/lab@sha256:" + "b" * 64)
    sys.exit()
if args[0] == "pull":
    sys.exit("Error: no such host example.org" if "gone" in args[2] else 0)
assert args[0] == "run", args
at = args.index("-w") + 1 if "-w" in args else 0
os.chdir(args[at] if at else ".")
image = next(n for n, one in enumerate(args) if "@sha256:" in one)
assert "/work" not in args[image + 1], args
os.environ["IN_IMAGE"] = args[image]
os.execvp(args[image + 1], args[image + 1 :])
"""


class TestContainer:
    DIGEST = "sha256:" + "a" * 64
    IMAGE = f"example.org/lab@{DIGEST}"

    def prepared(self, project: Project, tmp_path: Path, image: str) -> Path:
        script = "import os\nopen('model.bin', 'w').write(os.environ['MODE'])\n"
        project.write("train.py", script)
        project.commit("script")
        os.environ["MODE"] = "fast"
        try:
            project.dver(
                "run", "-q", "--env-var", "MODE", "--container", image, "-d", "data",
                "-o", "model.bin", "--", sys.executable, "train.py",
            )  # fmt: skip
        finally:
            del os.environ["MODE"]
        project.commit("model")
        return tmp_path / "log"

    def engine(self, tmp_path: Path, log: Path, *images: str) -> dict[str, str]:
        text = ENGINE.format(python=sys.executable, log=str(log), images=list(images))
        executable(tmp_path / "bin" / "docker", text)
        return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def test_the_recorded_image_is_used(self, project: Project, tmp_path: Path) -> None:
        log = self.prepared(project, tmp_path, self.IMAGE)
        env = self.engine(tmp_path, log, self.IMAGE)
        args = ("reproduce", "--json", "--env", "container", "model.bin")
        result = project.dver(*args, env=env).result
        assert (result["grade"], result["environment"]) == ("exact", "container")
        assert not any(line.startswith("container:") for line in result["differs"])
        (line,) = [one for one in log.read_text().splitlines() if "train.py" in one]
        words = line.split("\x1f")
        assert words[:4] == ["run", "--rm", "-i", "-v"]
        work = words[words.index("-w") + 1]
        assert f"{work}:{work}" in words
        assert (
            f"{project.path / '.git' / 'objects'}:{project.path / '.git' / 'objects'}:ro" in words
        )
        assert "MODE=fast" in words
        assert words[-3:] == [self.IMAGE, sys.executable, "train.py"]

    def test_what_stands_in_the_way_is_told(self, project: Project, tmp_path: Path) -> None:
        gone = f"example.org/gone@{self.DIGEST}"
        log = self.prepared(project, tmp_path, gone)
        args = ("reproduce", "--json", "--no-record", "--env", "container", "model.bin")
        result = project.dver(*args, env=self.engine(tmp_path, log), code=23).json["result"]
        assert result["missing"] == [f"docker cannot get {gone}: Error: no such host example.org"]
        bare = tmp_path / "bare"
        bare.mkdir()
        (bare / "git").symlink_to(shutil.which("git") or "git")
        result = project.dver(*args, env={"PATH": str(bare)}, code=23).json["result"]
        assert "neither docker nor podman is on PATH" in result["missing"][0]

    def test_a_digest_alone_must_be_that_of_an_image_here(
        self, project: Project, tmp_path: Path
    ) -> None:
        log = self.prepared(project, tmp_path, "sha256:" + "b" * 64)
        args = ("reproduce", "--json", "--no-record", "--env", "container", "model.bin")
        result = project.dver(*args, env=self.engine(tmp_path, log)).result
        assert result["grade"] == "exact"
        assert f"example.org/lab@sha256:{'b' * 64}" in log.read_text()

    def test_a_record_without_an_image(self, project: Project) -> None:
        project.train()
        args = ("reproduce", "--json", "--no-record", "--env", "container", "model.json")
        result = project.dver(*args, code=23).json["result"]
        assert "the record names no container image" in result["missing"][0]


def test_a_relative_interpreter_is_that_of_the_work_tree_or_of_the_environment(
    project: Project, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", project.path / ".venv"], check=True
    )
    project.write(".gitignore", ".venv/\n/data\n")
    project.write("train.py", "import sys; open('model.bin', 'w').write(sys.prefix[-4:])\n")
    project.commit("script")
    args = ("-d", "data", "-o", "model.bin", "--", ".venv/bin/python", "train.py")
    project.dver("run", "-q", *args)
    project.commit("model")
    assert project.dver("reproduce", "--json", "--no-record", "model.bin").result["differs"] == []
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    shutil.rmtree(project.path / ".venv")
    done = project.dver("reproduce", "--no-record", "model.bin", code=23)
    assert "there is no program .venv/bin/python to run (--env venv builds" in done.stdout
    # None were installed, so that an empty one will do. It has another name.
    args = ("reproduce", "--json", "--no-record", "--env", "venv", "model.bin")
    result = project.dver(*args, code=22, env=env).json["result"]
    assert (result["grade"], result["differs"]) == ("diverged", [])
