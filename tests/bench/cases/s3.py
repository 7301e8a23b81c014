"""Sharing through S3: many small files, near and far, and a large one."""

from __future__ import annotations

import shutil

from tests.bench import workloads
from tests.bench.cloud import Cloud
from tests.bench.lab import Case, Lab, Mark, fresh_store, wipe
from tests.bench.measure import Contender

_FAR = 0.030
_STREAMS = ("--transfers=8", "--multi-thread-streams=8", "--s3-upload-concurrency=8")
_TAR = "rclone copy of a tar"


def push(lab: Lab, latency: float | None = None) -> Case:
    """Push small files."""
    cloud = Cloud(lab, latency=latency)
    count = lab.many(10_000)
    repo = lab.files("s3", count)
    lab.call(repo, "tar", "cf", "../s3.tar", "data")
    contenders = [
        Contender("dver", (*lab.dver, "push"), repo, cloud.attaching(repo), env=cloud.env),
        Contender(_TAR, cloud.rclone_up("s3.tar", lab.root), lab.root),
    ]
    marks = [Mark(_TAR, 3.0)]
    if lab.dvc:
        other = lab.dvc_repo("s3-dvc")
        shutil.copytree(repo / "data", other / "data")
        lab.call(other, lab.dvc, "add", "-q", "data")
        contenders.append(
            Contender(
                "dvc push",
                (lab.dvc, "push", "-q"),
                other,
                lambda: cloud.attach_dvc(other),
                env=cloud.env,
                runs=2,
            )
        )
        marks.append(Mark("dvc push", 1 / 50 if latency else 1 / 10))
    return Case(f"push {count:,} x 4 KB to S3 {_where(latency)}", contenders, marks)


def pull(lab: Lab, latency: float | None = None) -> Case:
    """Pull them into a fresh clone."""
    cloud = Cloud(lab, latency=latency)
    count = lab.many(10_000)
    repo = lab.files("s3", count)
    cloud.attach(repo)
    workloads.commit(repo, lab.env)
    lab.call(repo, *lab.dver, "push", env=cloud.env)
    clone = lab.clone(repo, "s3-clone")
    lab.call(repo, "tar", "cf", "../s3.tar", "data")
    lab.call(lab.root, *cloud.rclone("copy", "s3.tar", f":s3:{cloud.new_bucket(lab.root)}/x"))
    tar = cloud.rclone("copy", f":s3:{cloud.bucket(lab.root)}/x", "down")
    contenders = [
        Contender(
            "dver",
            (*lab.dver, "pull"),
            clone,
            fresh_store(clone, clone / "data"),
            env=cloud.env,
        ),
        Contender(_TAR, tar, lab.root, wipe(lab.root / "down")),
    ]
    name = f"pull {count:,} x 4 KB from S3 {_where(latency)}"
    return Case(name, contenders, [Mark(_TAR, 3.0)])


def _where(latency: float | None) -> str:
    return f"{latency * 1000:.0f} ms away" if latency else "on loopback"


def large_push(lab: Lab) -> Case:
    """Push one large file that does not compress."""
    cloud = Cloud(lab)
    size = lab.size(2_000_000_000)
    repo = lab.repo("s3-large")
    workloads.large_file(repo / "big.bin", size)
    lab.add(repo, "big.bin")
    up = cloud.rclone_up("big.bin", lab.root, *_STREAMS)
    contenders = [
        Contender("dver", (*lab.dver, "push"), repo, cloud.attaching(repo), env=cloud.env),
        Contender("rclone copy, 8 streams", up, repo),
    ]
    name = f"push {size / 1e9:.2f} GB to S3 on loopback"
    return Case(name, contenders, [Mark("rclone copy, 8 streams", 1.0)], peak=300 << 20)


def large_pull(lab: Lab) -> Case:
    """Pull that file into a fresh clone, which also checks it out."""
    cloud = Cloud(lab)
    size = lab.size(2_000_000_000)
    repo = lab.repo("s3-large")
    workloads.large_file(repo / "big.bin", size)
    lab.add(repo, "big.bin")
    cloud.attach(repo)
    workloads.commit(repo, lab.env)
    lab.call(repo, *lab.dver, "push", env=cloud.env)
    lab.call(repo, *cloud.rclone("copy", "big.bin", f":s3:{cloud.new_bucket(lab.root)}/x"))
    down = cloud.rclone(*_STREAMS, "copy", f":s3:{cloud.bucket(lab.root)}/x", "down")
    clone = lab.clone(repo, "s3-large-clone")
    empty = fresh_store(clone, clone / "big.bin")
    contenders = [
        Contender("dver", (*lab.dver, "pull"), clone, empty, env=cloud.env),
        Contender("dver fetch", (*lab.dver, "fetch"), clone, empty, env=cloud.env),
        Contender("rclone copy, 8 streams", down, lab.root, wipe(lab.root / "down")),
    ]
    name = f"pull {size / 1e9:.2f} GB from S3 on loopback"
    return Case(name, contenders, [Mark("rclone copy, 8 streams", 1.0)], peak=300 << 20)


CASES = {
    "s3-push": push,
    "s3-pull": pull,
    "s3-push-far": lambda lab: push(lab, _FAR),
    "s3-pull-far": lambda lab: pull(lab, _FAR),
    "s3-large-push": large_push,
    "s3-large-pull": large_pull,
}
