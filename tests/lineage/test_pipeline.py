"""The file that defines a pipeline, and how its steps hang together."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import DverError, FormatError, NotFoundError
from dver.lineage import pipelinefile
from dver.lineage.pipeline import Pipeline, connect, named_files, reads_of
from dver.lineage.pipelinefile import Step, parse


def steps(text: str) -> tuple[Step, ...]:
    """Parse what stands below ``steps:``, given without its first indentation."""
    body = "".join(f"  {line}\n" for line in text.strip("\n").splitlines())
    return parse(f"steps:\n{body}".encode())


def one(text: str) -> Step:
    (found,) = steps(text)
    return found


def together(text: str, *files: str) -> Pipeline:
    """Connect steps where these files are there."""
    there = {os.fsencode(name) for name in files}

    def exists(paths: Sequence[bytes]) -> Collection[bytes]:
        return there.intersection(paths)

    return connect(steps(text), exists)


# the file


def test_all_keys() -> None:
    step = one(
        """
train:
  about: Fit the model.
  command: python -u "my train.py" --rate 0.10
  cwd: sub
  deps:
    - data/raw: train
    - lib/
  params:
    - params.yaml: [train.rate, seed]
    - other.json
  outs: {model.pkl: model, plots: }
  metrics: metrics.json
  locks: [uv.lock]
  frozen: true
  uncontrolled: the weather
"""
    )
    assert step == Step(
        "train",
        "train",
        2,
        ("python", "-u", "my train.py", "--rate", "0.10"),
        "",
        "sub",
        {b"data/raw": "train", b"lib": ""},
        {b"params.yaml": ("train.rate", "seed"), b"other.json": ()},
        {b"model.pkl": "model", b"plots": ""},
        (b"metrics.json",),
        (b"uv.lock",),
        True,
        ("the weather",),
        "Fit the model.",
    )
    assert step.made == (b"metrics.json", b"model.pkl", b"plots")


def test_values_are_the_text_that_stands_there() -> None:
    assert one("a: {command: [echo, no, 0.10, 1e3, 0x10, ~]}").argv == (
        "echo", "no", "0.10", "1e3", "0x10", "~",
    )  # fmt: skip


def test_a_shell_only_where_it_is_asked_for() -> None:
    step = one("a: {command: 'cat a | sort > b', shell: true}")
    assert step.argv == ("sh", "-c", "cat a | sort > b")
    assert step.text == "cat a | sort > b"
    assert one("a: {command: echo 'a | b' \"c && d\"}").argv == ("echo", "a | b", "c && d")
    assert one("a: {command: [echo, '|']}").argv == ("echo", "|")


def test_a_matrix() -> None:
    found = steps(
        """
train:
  matrix:
    rate: [0.1, 0.2]
    data: [a b, c]
  command: python train.py ${rate} data/${data}
  deps: "data/${data}"
  outs: model-${rate}-${data}.pkl
"""
    )
    assert [step.name for step in found] == [
        "train@rate=0.1,data=a b",
        "train@rate=0.1,data=c",
        "train@rate=0.2,data=a b",
        "train@rate=0.2,data=c",
    ]
    assert found[0].argv == ("python", "train.py", "0.1", "data/a b")
    assert list(found[0].deps) == [b"data/a b"]
    assert list(found[3].outs) == [b"model-0.2-c.pkl"]
    assert {step.base for step in found} == {"train"}


def test_a_value_of_a_matrix_stays_one_word_in_a_shell() -> None:
    step = one("a: {matrix: {x: ['a; rm -rf b']}, shell: true, command: 'echo ${x} ${HOME}'}")
    assert step.text == "echo 'a; rm -rf b' ${HOME}"


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ("a: 1", 2, "does not hold 'key: value' lines", None),
        ("a:\n  deps: x", 2, "has no 'command'", "say what it runs"),
        ("a:\n  cmd: x", 3, "unknown key 'cmd'", "did you mean 'command'?"),
        ("a:\n  command: x\n  dep: y", 4, "unknown key 'dep'", "did you mean 'deps'?"),
        ("a:\n  command: x\n  zzz: y", 4, "unknown key 'zzz'", "there are: command"),
        ("a:\n  command: x\n  command: y", 4, "twice, first in line 3", "leave one"),
        ("a: {command: x}\na: {command: y}", 3, "'a' stands there twice", None),
        ("a: &x {command: x}", 2, "anchors and aliases", "write the value out"),
        ("a:\n  command: x\n  deps: *x", 4, "anchors and aliases", None),
        ("a: {command: !!str x}", 2, "tags are not read", None),
        ("a b: {command: x}", 2, "no name of a step", "letters, digits"),
        ("a@b: {command: x}", 2, "no name of a step", None),
        ("a: {command: a && b}", 2, "'&&', which only a shell understands", "shell: true"),
        ("a: {command: a > b}", 2, "'>', which only a shell", None),
        ("a: {command: a; b}", 2, "';', which only a shell", None),
        ("a: {command: 'a \"b'}", 2, "cannot be split", "quotes"),
        ("a: {command: []}", 2, "the command is empty", None),
        ("a: {command: [x], shell: true}", 2, "one text, not a list", None),
        ("a: {command: x, shell: maybe}", 2, "neither true nor false", None),
        ("a: {command: x, frozen: yes}", 2, "neither true nor false", None),
        ("a: {command: x, deps: [/etc/passwd]}", 2, "not a path inside", "relative to where"),
        ("a: {command: x, outs: [../y]}", 2, "not a path inside", None),
        ("a: {command: x, outs: [.]}", 2, "not a path inside", None),
        ("a: {command: x, outs: [.git/hooks/x]}", 2, "belongs to git or dver", None),
        ("a: {command: x, outs: [.dver/config.yaml]}", 2, "belongs to git or dver", None),
        ("a: {command: x, outs: [y, ./y]}", 2, "y stands twice in 'outs'", None),
        ("a: {command: x, outs: [[y]]}", 2, "a list in a list", None),
        ("a: {command: x, metrics: {y: z}}", 2, "is no text", None),
        ("a: {command: x, matrix: {}}", 2, "matrix is empty", None),
        ("a: {command: x, matrix: {r: []}}", 2, "no values for 'r'", None),
        ("a: {command: x, matrix: {r: [1, 1]}}", 2, "'1' of 'r' stands there twice", None),
        ("a: {command: x, matrix: {r-s: [1]}}", 2, "no name for a matrix", None),
        ("a: {command: '${s}', matrix: {r: [1]}}", 2, "${s} is not in the matrix", "it has: r"),
        ("a: {command: x, outs: [y-${r}]}", 2, "not YAML", "inside of [ ] and { }"),
        ("a:\n\tcommand: x", 3, "not YAML", None),
    ],
)
def test_what_is_refused_names_the_line_and_the_fix(
    text: str, line: int, words: str, hint: str | None
) -> None:
    with pytest.raises(FormatError) as caught:
        steps(text)
    assert caught.value.message.startswith(f"dver.yaml, line {line}: ")
    assert words in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"[]", "does not hold 'key: value' lines"),
        (b"step: {}", "unknown key 'step'"),
        (b"stages: {}", "unknown key 'stages'"),
        (b"{}", "no key 'steps'"),
        (b"steps: {}\n---\nsteps: {}", "second document"),
        (b"steps:\n  a: {command: \xff}", "line 2: it is not UTF-8"),
        (b"? [a]\n: b", "a key is not plain text"),
        (b"steps: " + b"[" * 100, "nested too deep"),
        (b"steps: " + b"{a: " * 50 + b"1" + b"}" * 50, "nested too deep"),
        (b"x" * (2 << 20), "larger than"),
        (
            b"steps: {a: {command: x, matrix: {a: [%b], b: [%b]}}}"
            % ((b", ".join(b"%d" % n for n in range(200)),) * 2),
            "more than 10,000 steps",
        ),
    ],
)
def test_files_that_are_no_pipeline(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words.replace("[", r"\[")):
        parse(data)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for text in (data, b"steps:\n  a:\n    command: " + data):
        try:
            assert all(isinstance(step, Step) for step in parse(text))
        except FormatError as error:
            assert error.message.startswith("dver.yaml")


def test_no_file_and_a_symlink(tmp_path: Path) -> None:
    assert pipelinefile.read(tmp_path) is None
    (tmp_path / "dver.yaml").symlink_to("/etc/passwd")
    with pytest.raises(DverError, match="symlink"):
        pipelinefile.read(tmp_path)


# how steps hang together


CHAIN = """
evaluate: {command: e, deps: [model], metrics: [m.json]}
train: {command: t, deps: [clean/a], outs: [model]}
prepare: {command: p, deps: [raw], outs: [clean]}
other: {command: o, outs: [x/y]}
collect: {command: c, deps: [x], outs: [z]}
"""


def test_order_is_what_needs_what_and_then_the_files() -> None:
    found = together(CHAIN)
    assert list(found.steps) == ["prepare", "train", "evaluate", "other", "collect"]
    assert found.after == {
        "evaluate": ("train",),
        "train": ("prepare",),
        "prepare": (),
        "other": (),
        "collect": ("other",),
    }
    assert found.select(["train"]) == ["prepare", "train"]
    assert found.select(["train"], downstream=True) == ["prepare", "train", "evaluate"]
    assert found.select([]) == list(found.steps)
    with pytest.raises(NotFoundError) as caught:
        found.select(["trian"])
    assert caught.value.hint == "did you mean 'train'?"


def test_the_name_of_a_matrix_means_all_of_it() -> None:
    text = "a: {command: x, matrix: {r: [1, 2]}, outs: '${r}'}\nb: {command: y}"
    found = together(text)
    assert found.select(["a"]) == ["a@r=1", "a@r=2"]
    assert found.select(["a@r=2"]) == ["a@r=2"]


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("a: {command: x, outs: [o]}\nb: {command: y, outs: [o]}",
         "line 3: o is made by 'a' (line 2) as well", "path of its own"),
        ("a: {command: x, outs: [o]}\nb: {command: y, metrics: [o/m]}",
         "o/m is made by 'a' (line 2) as well", None),
        ("a: {command: x, outs: [o, o/p]}", "makes o/p inside of o", None),
        ("a: {command: x, matrix: {r: [1, 2]}, outs: [o]}", "o is made by 'a@r=1'", "a value of"),
        ("a: {command: x, deps: [o], outs: [o]}", "reads o and makes o", "changed in place"),
        ("a: {command: x, deps: [o/p], outs: [o]}", "reads o/p and makes o", None),
        ("a: {command: x, params: [o/p], outs: [o]}", "reads o/p and makes o", None),
        ("a: {command: x, deps: [c], outs: [b]}\nb: {command: y, deps: [b], outs: [c]}",
         "line 2: the steps go in a circle: a needs b needs a", None),
        ("z: {command: x, deps: [a], outs: [z]}\na: {command: x, deps: [z], outs: [a]}",
         "line 2: the steps go in a circle", None),
    ],
)  # fmt: skip
def test_steps_that_do_not_go_together(text: str, words: str, hint: str | None) -> None:
    with pytest.raises(FormatError) as caught:
        together(text)
    assert words in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_what_a_command_names_is_read() -> None:
    found = together(
        """
make: {command: python make.py, outs: [clean]}
use: {command: python -m tools.use --with=conf.json clean/a -o out, cwd: '', outs: [out]}
""".replace("cwd: '', ", ""),
        "make.py", "tools/use.py", "conf.json", "out", "python",
    )  # fmt: skip
    assert found.steps["make"].deps == {b"make.py": "code"}
    assert found.steps["use"].deps == {
        b"clean/a": "",
        b"tools/use.py": "code",
        b"conf.json": "code",
    }
    assert found.after["use"] == ("make",)


def test_words_are_relative_to_where_the_command_runs() -> None:
    step = one("a: {command: ./run.sh ../up.py ../../out.py /abs.py, cwd: sub}")
    assert list(named_files(step)) == [b"sub/run.sh", b"up.py"]
    shell = one("a: {command: 'python x.py; cat y', shell: true}")
    assert {b"x.py", b"y"} <= set(named_files(shell))


def test_what_is_declared_is_not_declared_again() -> None:
    found = together(
        "a: {command: p src/x.py conf.json, deps: [src], params: [conf.json]}",
        "src/x.py",
        "conf.json",
    )
    assert list(reads_of(found.steps["a"])) == [b"src", b"conf.json"]


@given(st.data())
def test_the_order_respects_every_edge(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    rank = data.draw(st.permutations(range(count)))
    needs = {
        n: data.draw(st.sets(st.integers(0, count - 1)).map(
            lambda chosen, n=n: {m for m in chosen if rank[m] < rank[n]}
        ))
        for n in range(count)
    }  # fmt: skip
    text = "\n".join(
        f"s{n}: {{command: x, outs: [o{n}], deps: [{', '.join(f'o{m}' for m in needs[n])}]}}"
        for n in range(count)
    )
    found = together(text)
    order = list(found.steps)
    assert sorted(order) == sorted(f"s{n}" for n in range(count))
    for n, below in needs.items():
        assert set(found.after[f"s{n}"]) == {f"s{m}" for m in below}
        assert all(order.index(f"s{m}") < order.index(f"s{n}") for m in below)
    chosen = data.draw(st.sampled_from(order))
    selected = found.select([chosen])
    assert selected == [name for name in order if name in selected]
    assert all(set(found.after[name]) <= set(selected) for name in selected)


@given(st.integers(2, 8), st.integers(0, 7))
def test_every_circle_is_found(count: int, lead: int) -> None:
    ring = [f"r{n}: {{command: x, deps: [o{n}], outs: [o{(n + 1) % count}]}}" for n in range(count)]
    tail = [f"t{n}: {{command: x, deps: [o{n % count}]}}" for n in range(lead)]
    with pytest.raises(FormatError) as caught:
        together("\n".join([*tail, *ring]))
    named = caught.value.message.partition("circle: ")[2].split(" needs ")
    assert named[0] == named[-1]
    assert len(named) == count + 1
    assert all(name.startswith("r") for name in named)
