r"""The text of the hooks and of the driver that dver puts into a git directory: plain sh.

Each runs the hook that was there before, looks with git alone whether there is anything to do, and
only then starts dver: by the interpreter that installed it, else by ``dver`` on the PATH. Where
neither is left, git goes on without it. A line with a checksum tells dver's own files from those
that somebody changed.
"""

from __future__ import annotations

import re

from dver.base.oid import oid_of

#: The hooks that there are, in the order in which they are listed.
HOOKS = ("pre-commit", "pre-push", "post-checkout", "post-merge", "post-rewrite")
#: What a hook is renamed to that was there before.
BEFORE = ".before-dver"

_MARK = b"# dver-hook "
_HEAD = """\
#!/bin/sh
# Written by 'dver hooks install', taken away by 'dver hooks uninstall'.
"""

# 'same A B' tells that no pointer differs between two commits. Whatever goes wrong there counts as
# a difference. What makes git read patterns otherwise is taken away for these questions only.
_SHARED = """
case $0 in */*) here=${0%%/*} ;; *) here=. ;; esac
before=$here/%(name)s.before-dver
plain_git() {
  (
    unset GIT_LITERAL_PATHSPECS GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS
    exec git "$@" 2>/dev/null
  )
}
same() {
  plain_git diff-tree -r --quiet "$1" "$2" -- '*.dver'
}
"""

_FIND = """
python=%(python)s
if [ -x "$python" ] && [ -f %(package)s/__main__.py ]; then
  set -- "$python" -P -m dver hooks run %(name)s -- "$@"
elif command -v dver >/dev/null 2>&1; then
  set -- dver hooks run %(name)s -- "$@"
else
  %(gone)s
fi
"""

_BODIES = {
    "pre-commit": (
        """
if [ -x "$before" ]; then
  "$before" "$@" || exit $?
fi
""",
        "exit 0",
        """
exec "$@"
""",
    ),
    "pre-push": (
        """
refs=$(cat)
give_refs() {
  [ -z "$refs" ] || printf '%%s\\n' "$refs"
}
if [ -x "$before" ]; then
  give_refs | "$before" "$@" || exit $?
fi
new=
while read -r line; do
  # From the end: what was typed as the local ref comes first, and may hold spaces.
  line=${line%% *}
  line=${line%% *}
  local=${line##* }
  case $local in *[!0]*) new="$new $local" ;; esac
done <<END_OF_REFS
$refs
END_OF_REFS
[ -n "$new" ] || exit 0
# shellcheck disable=SC2086
if found=$(plain_git rev-list -1 --full-history $new --not --remotes="$1" -- '*.dver' .dver) &&
  [ -z "$found" ]; then
  exit 0
fi
""",
        """echo "warning: dver is gone, so the data of these commits is not pushed" >&2
  echo "hint: install dver, or remove its hooks: rm \\"$0\\"" >&2
  exit 0""",
        """
give_refs | "$@"
""",
    ),
    "post-checkout": (
        """
status=0
if [ -x "$before" ]; then
  "$before" "$@" || status=$?
fi
[ "$3" = 1 ] && [ "$1" != "$2" ] || exit $status
# A rebase that has commits to replay ends with post-rewrite; what lies between is not looked at.
todo=$(git rev-parse --git-dir)/rebase-merge/git-rebase-todo
if [ -s "$todo" ] && grep -q -v -e '^#' -e '^noop' -e '^$' "$todo"; then
  exit $status
fi
same "$1" "$2" && exit $status
""",
        "exit $status",
        """
"$@"
exit $status
""",
    ),
    "post-merge": (
        """
status=0
if [ -x "$before" ]; then
  "$before" "$@" || status=$?
fi
[ "$1" != 1 ] && same ORIG_HEAD HEAD && exit $status
""",
        "exit $status",
        """
"$@"
exit $status
""",
    ),
    "post-rewrite": (
        """
status=0
if [ -x "$before" ]; then
  "$before" "$@" || status=$?
fi
[ "$1" = rebase ] || exit $status
state=$(git rev-parse --git-dir)/rebase-merge
if [ -r "$state/orig-head" ] && read -r old <"$state/orig-head" && same "$old" HEAD; then
  exit $status
fi
""",
        "exit $status",
        """
"$@"
exit $status
""",
    ),
}

_DRIVER = """
here=${0%%/*}
verb=$1
case $verb in
textconv)
  file=$2
  [ "$(wc -c <"$file")" -le 4096 ] || exec cat -- "$file"
  kind=
  oid=
  while read -r line; do
    case $line in
    'kind: '*) kind=${line#kind: } ;;
    'oid: blake3:'*) oid=${line#oid: blake3:} ;;
    esac
  done <"$file"
  case $oid in *[!0-9a-f]* | '') exec cat -- "$file" ;; esac
  [ -f "$here/textconv/$oid" ] && exec cat -- "$here/textconv/$oid"
  case $kind:$file in tree:* | file:*.csv.dver | file:*.tsv.dver) ;; *) exec cat -- "$file" ;; esac
  ;;
merge) ;;
*) exit 2 ;;
esac
shift
as_text() {
  case $verb in
  textconv) exec cat -- "$1" ;;
  # Ancestor, ours, theirs, as git names them: what git itself does with text.
  merge) exec git merge-file -L ours -L base -L theirs "$2" "$1" "$3" ;;
  esac
}
python=%(python)s
if [ -x "$python" ] && [ -f %(package)s/__main__.py ]; then
  "$python" -P -m dver hooks run "$verb" -- "$@"
elif command -v dver >/dev/null 2>&1; then
  dver hooks run "$verb" -- "$@"
else
  as_text "$@"
fi
status=$?
# 1 is an answer of a merge. Anything else is a failure, which must not stop git.
case $verb:$status in *:0 | merge:1) exit $status ;; esac
as_text "$@"
"""


def hook_text(name: str, python: str, package: str) -> bytes:
    """Return the script of a hook. ``package`` is the directory that dver's modules are in."""
    look, gone, go = _BODIES[name]
    facts = {
        "name": name,
        "python": _quoted(python),
        "package": _quoted(package),
        "gone": gone,
    }
    return _sealed(name, (_SHARED + look + _FIND) % facts + go)


def driver_text(python: str, package: str) -> bytes:
    """Return the script that git runs to merge pointers and to show them in a diff."""
    return _sealed("driver", _DRIVER % {"python": _quoted(python), "package": _quoted(package)})


def owner(data: bytes) -> str | None:
    """Tell whose a script is: "dver" as it was written, "edited" since, or None for others'."""
    match = re.search(rb"^# dver-hook \S+ ([0-9a-f]{16})$", data, re.MULTILINE)
    if match is None:
        return None
    return "dver" if _seal(data[match.end() + 1 :]) == match[1] else "edited"


def _sealed(name: str, body: str) -> bytes:
    text = body.lstrip("\n").encode("utf-8", "surrogateescape")
    return _HEAD.encode() + _MARK + name.encode() + b" " + _seal(text) + b"\n" + text


def _seal(text: bytes) -> bytes:
    return oid_of(text).hex()[:16].encode()


def _quoted(text: str) -> str:
    if re.match(r"[A-Za-z]:", text):
        text = text.replace("\\", "/")  # git's own shell on Windows
    return "'" + text.replace("'", "'\\''") + "'"
