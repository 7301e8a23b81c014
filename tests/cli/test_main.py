"""The program around the commands: global options, errors, exit codes, start-up."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import dver as package
from dver.base.errors import MissingContentError
from dver.cli.command import Lazy, declare
from dver.cli.context import App
from tests.support.cli import Done, Dver


def in_new_process(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_version(outside: Dver) -> None:
    assert outside("--version").stdout == f"dver {package.__version__}\n"
    assert outside("--color", "never", "--version").stdout == f"dver {package.__version__}\n"


def test_version_imports_nothing_but_the_standard_library(tmp_path: Path) -> None:
    loaded = in_new_process(
        "import sys\n"
        "before = set(sys.modules)\n"
        "sys.argv = ['dver', '--version']\n"
        "from dver.cli.main import main\n"
        "main()\n"
        "loaded = set(sys.modules) - before\n"
        "print(sorted(name for name in loaded if name.startswith(('dver', 'click'))))",
        tmp_path,
    )
    assert loaded.splitlines()[1] == "['dver', 'dver.cli', 'dver.cli.main']"


def test_help_of_the_program_imports_no_command(tmp_path: Path) -> None:
    loaded = in_new_process(
        "import sys\n"
        "from dver.cli.main import main\n"
        "main(['--help'])\n"
        "unwanted = ('dver.cli.commands.', 'dver.ops', 'rich')\n"
        "print([name for name in sys.modules if name.startswith(unwanted)])",
        tmp_path,
    )
    assert loaded.splitlines()[-1] == "[]"


def test_without_arguments_help_is_shown_as_wrong_usage(outside: Dver) -> None:
    done = outside(code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("Usage: dver [OPTIONS] COMMAND [ARGS]...\n")


def test_unknown_command(outside: Dver) -> None:
    assert outside("statsu", code=2) == Done(
        2, b"", b"error: no command 'statsu' in 'dver'\nhint: did you mean 'status'?\n"
    )
    assert outside("xyzzy", code=2).stderr == (
        "error: no command 'xyzzy' in 'dver'\nhint: see 'dver --help'\n"
    )
    assert outside("remote", "ad", code=2).stderr == (
        "error: no command 'ad' in 'dver remote'\nhint: did you mean 'add'?\n"
    )


def test_unknown_option(outside: Dver) -> None:
    assert outside("ls", "--lon", code=2).stderr == (
        "error: no such option --lon\nhint: did you mean --long?\n"
    )
    assert outside("completion", code=2).stderr == (
        "error: missing argument 'SHELL'\nhint: choose from bash, zsh, fish\n"
    )


def test_usage_errors_as_json(outside: Dver) -> None:
    done = outside("completion", "tcsh", "--json", code=2)
    assert done.stderr == ""
    assert done.json["command"] == "completion"
    assert done.json["error"]["code"] == "usage"
    assert done.json["error"]["exit_code"] == 2
    assert "--json" not in outside("completion", "--", "--json", code=2).stdout


def test_outside_a_repository(outside: Dver) -> None:
    assert outside("ls", code=3).stderr == (
        "error: this is not inside a git repository\nhint: git init\n"
    )
    assert outside("ls", "--json", code=3).json == {
        "dver": 1,
        "command": "ls",
        "ok": False,
        "error": {
            "code": "repository",
            "message": "this is not inside a git repository",
            "hint": "git init",
            "paths": [],
            "exit_code": 3,
        },
    }


def test_directory_option_is_as_in_git(dver: Dver, tmp_path: Path) -> None:
    inner = dver.cwd / "a" / "b"
    inner.mkdir(parents=True)
    elsewhere = Dver(tmp_path)
    assert elsewhere("-C", dver.cwd, "-C", "a/b", "remote").exit_code == 0
    assert elsewhere("-C", "no\nwhere", "ls", code=4).stderr == (
        'error: cannot change to "no\\nwhere": no such file or directory\n'
    )


def test_setting_option(dver: Dver) -> None:
    assert dver("-c", "core.jobs=3", "config", "get", "core.jobs").stdout == "3\n"
    assert dver("-c", "core.jobs", "config", "get", "core.jobs", code=2).stderr == (
        "error: -c takes KEY=VALUE, not 'core.jobs'\nhint: dver -c core.jobs=4 push\n"
    )
    assert dver("-c", "core.jobs=x", "config", "get", "core.jobs", code=11).stderr.startswith(
        "error: command line: core.jobs is not a number"
    )


# -- commands made for the purpose ---------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, outside: Dver) -> Runner:
    return Runner(monkeypatch, outside)


class Runner:
    """Runs a function as the command ``ls``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dver: Dver) -> None:
        self.monkeypatch = monkeypatch
        self.dver = Dver(dver.cwd, in_process=True)

    def __call__(self, function: object, *args: str, **options: object) -> Done:
        made = declare("ls", result=object, access="none", examples=[("x", "dver ls")])(function)

        def get_command(self: Lazy, ctx: click.Context, name: str) -> click.Command | None:
            return made if name == "ls" else None

        self.monkeypatch.setattr(Lazy, "get_command", get_command)
        return self.dver(*(args or ("ls",)), **options)


def fail(app: App) -> int:
    raise MissingContentError(
        "3 objects are missing", hint="dver pull", paths=[f"data/{n}\n" for n in range(25)]
    )


def test_an_error_lists_its_paths_up_to_a_limit(run: Runner) -> None:
    lines = run(fail, code=6).stderr.splitlines()
    assert lines[0] == "error: 3 objects are missing"
    assert lines[1] == '  "data/0\\n"'
    assert lines[20:] == ['  "data/19\\n"', "  ... and 5 more (25 in all)", "hint: dver pull"]
    assert run(fail, "ls", "-v", code=6).stderr.count("data/") == 25
    assert len(run(fail, "ls", "--json", code=6).json["error"]["paths"]) == 25


def test_the_traceback_of_an_error_is_shown_on_request(run: Runner) -> None:
    assert "Traceback" not in run(fail, code=6).stderr
    assert "Traceback" in run(fail, "--debug", "ls", code=6).stderr
    assert "Traceback" in run(fail, "ls", "--debug", code=6).stderr


def crash(app: App) -> int:
    url = "https://ada:hunter22@example.com/x?X-Amz-Signature=abcdef"
    raise ZeroDivisionError(f"cannot divide {url} by {os.environ['AWS_SECRET_ACCESS_KEY']}")


def test_a_bug_gives_a_short_report_without_secrets(run: Runner) -> None:
    env = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_REGION": "eu-west-1"}
    done = run(crash, code=70, env=env)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == (
        "error: this is a bug in dver: ZeroDivisionError: cannot divide"
        " https://***@example.com/x?X-Amz-Signature=*** by ***"
    )
    assert lines[1].startswith("  at       dver/cli/command.py:")
    assert lines[2] == "  command  dver ls"
    assert lines[3].startswith(f"  version  dver {package.__version__}, python ")
    assert lines[4] == "hint: 'dver --debug ls ...' shows the traceback; report it with these lines"
    assert "Traceback" not in done.stderr
    debugged = run(crash, "--debug", "ls", code=70, env=env).stderr
    assert "Traceback" in debugged
    assert "hunter22" not in debugged
    assert "wJalrXUtnFEMI" not in debugged


def test_a_bug_as_json(run: Runner) -> None:
    done = run(crash, "ls", "--json", code=70, env={"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"})
    error = done.json["error"]
    assert (error["code"], error["exit_code"]) == ("bug", 70)
    assert "wJalrXUtnFEMI" not in done.stdout
    assert "hunter22" not in done.stdout


def test_an_unexplained_system_error_names_the_path(run: Runner) -> None:
    def forgot(app: App) -> int:
        raise PermissionError(13, "Permission denied", "/some/file")

    assert run(forgot, code=10).stderr == (
        "error: cannot access /some/file: permission denied\n"
        "hint: check the owner and mode of the path\n"
    )


def test_interrupt(run: Runner) -> None:
    cleaned = []

    def interrupted(app: App) -> int:
        try:
            raise KeyboardInterrupt
        finally:
            cleaned.append(True)

    assert run(interrupted, code=130) == Done(130, b"", b"interrupted\n")
    assert cleaned == [True]
    done = run(interrupted, "ls", "--json", code=130)
    assert done.json["error"]["code"] == "interrupted"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
)
def test_a_signal_while_waiting(dver: Dver, number: signal.Signals, code: int) -> None:
    program = (
        "import signal, sys\n"
        # Whoever runs the tests may ignore signals, as nohup and background jobs do.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from dver.cli.commands import add\n"
        "from dver.cli.main import main\n"
        "read = add.read_list\n"
        "add.read_list = lambda name: [print('ready', flush=True), read(name)][1]\n"
        "sys.exit(main(['add', '--paths-from', '-']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=dver.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (code, b"", b"interrupted\n")


def test_a_reader_that_went_away_ends_the_program_in_silence(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from dver.cli.main import main\n"
        "from dver.ui.console import Console\n"
        "write = Console.write\n"
        "Console.write = lambda self, text: [write(self, text * 100) for _ in range(1000)]\n"
        "sys.exit(main(['completion', 'bash']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_output_that_cannot_be_written_is_a_failure(run: Runner) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def talkative(app: App) -> int:
        app.console._out = Full()
        app.console.print("result")
        return 0

    assert run(talkative, code=10).stderr == (
        "error: cannot write standard output: no space left on the disk\n"
        "hint: free some space and run the same command again\n"
    )


def test_colour_only_on_a_terminal_or_on_request(run: Runner) -> None:
    assert run(fail, code=6, tty=True).stderr.startswith("\x1b[31;1merror:\x1b[0m 3 objects")
    assert "\x1b" not in run(fail, code=6, tty=True, env={"NO_COLOR": "1"}).stderr
    assert "\x1b" not in run(fail, "--color", "never", "ls", code=6, tty=True).stderr
    assert run(fail, "ls", "--color", "always", code=6).stderr.startswith("\x1b[31;1merror:")


def test_global_options_stand_on_either_side(run: Runner) -> None:
    seen = []

    def look(app: App) -> int:
        seen.append((app.console.quiet, app.console.verbose, app.show_progress, app.debug))
        return 0

    run(look, "-q", "-v", "--no-progress", "--debug", "ls")
    run(look, "ls", "-q", "-v", "--no-progress", "--debug")
    run(look, "ls")
    assert seen == [(True, True, False, True)] * 2 + [(False, False, True, False)]


def test_json_output_is_one_document_even_for_unknown_commands(outside: Dver) -> None:
    envelope = json.loads(outside("nonsense", "--json", code=2).stdout)
    assert envelope["error"]["code"] == "usage"
