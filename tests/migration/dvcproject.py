"""Makes a project with the real DVC: run as a program, once, in an empty directory ``repo``.

Two commits, tagged v1 and v2, both pushed to the directory ``remote`` beside it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PIPELINE = """\
vars:
  - names: [one, two]
stages:
  train:
    desc: "trains: it"
    cmd:
      - cat data/a.txt > out.txt
      - "echo '{\\"acc\\": 0.5}' > metrics.json"
    deps: [data, code.txt]
    params: [lr, model.depth]
    outs: [out.txt]
    metrics:
      - metrics.json:
          cache: false
  plot:
    cmd: cp out.txt curve.csv
    deps: [out.txt]
    plots: [curve.csv]
  each:
    foreach: ${names}
    do:
      cmd: cp data/a.txt made-${item}.txt
      deps: [data/a.txt]
      outs: ["made-${item}.txt"]
"""


def write(path: str, text: str) -> None:
    """Write a file, its directory made as needed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def commit(tag: str) -> None:
    """Commit everything and tag it."""
    for args in (["add", "-A"], ["commit", "-q", "-m", tag], ["tag", tag]):
        subprocess.run(["git", *args], check=True)


def main() -> None:
    """Do it."""
    from dvc.repo import Repo

    os.chdir("repo")
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    repo = Repo.init(".")
    with repo.config.edit() as config:
        config["core"]["analytics"] = False
        config["core"]["remote"] = "store"
        config["remote"]["store"] = {"url": "../remote"}
    write("data/a.txt", "alpha\n")
    write("data/sub/b.txt", "beta\n")
    write("data/sub/deep/ü ö.txt", "gamma\n")
    write("data/same.txt", "alpha\n")
    write("data/old.txt", "only in v1\n")
    write("model.bin", "m" * 5000)
    Path("model.bin").chmod(0o755)
    write("params.yaml", "lr: 0.1\nmodel: {depth: 3}\n")
    write("code.txt", "code\n")
    write(".dvcignore", "# what nobody needs\n*.tmp\n")
    write("dvc.yaml", PIPELINE)
    repo.add(["data", "model.bin"])
    repo.reproduce()
    with open("dvc.yaml", "a", encoding="utf-8") as file:
        file.write("      frozen: true\n")
    commit("v1")
    repo.push()
    Path("data/sub/b.txt").rename("data/moved.txt")
    Path("data/old.txt").unlink()
    write("data/a.txt", "alpha again\n")
    repo.add(["data"])
    repo.reproduce()
    commit("v2")
    repo.push()
    repo.close()


if __name__ == "__main__":
    main()
