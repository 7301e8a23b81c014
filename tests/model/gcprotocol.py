"""The protocol of pushes and collections as a state machine, small enough to explore as a whole.

Page: ``docs/design/gc.md``. There is one object, which every root names, and every pack holds it:
``K``, which was there before, and one pack of each attempt to push. A remote is what a server
keeps: packs, roots, the marks beside roots that void them, sessions that were announced, and what
each collection wrote of the packs it is about to delete and of those it has. A process does one
request at a time, and may stop for ever, or as long as it likes, between any two. Time is not in
it: a collection may begin to delete at once, since no safety rests on the grace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: The pack that was there before.
K = 1
#: Where the old root is.
LIVE, MOVING, TRASHED, GONE = range(4)


class Remote(NamedTuple):
    """What the server keeps. Sets are bit masks: of packs, of sessions, of collections."""

    packs: int
    roots: int
    voids: tuple[int, ...]  # by session: the collections that declared it void
    sessions: int  # those announced, by a segment or an intent
    doomed: tuple[int, ...]  # by collection: packs, -1 is no record
    swept: tuple[int, ...]
    old: int  # where the root of K is


class Push(NamedTuple):
    """One push: which step comes next, which attempt it is, what it has seen."""

    step: str = "look"
    attempt: int = 0
    avoid: int = 0
    swept: int = 0
    rely: int = 0


class Collect(NamedTuple):
    """One collection: which step comes next, and what it has seen."""

    step: str = "look"
    others: int = 0
    rooted: bool = False
    known: int = 0  # packs that some segment names
    open: int = 0
    mine: int = 0
    voided: int = 0


class State(NamedTuple):
    """Everything: the server, the processes, and which roots somebody may rely on."""

    remote: Remote
    pushes: tuple[Push, ...]
    restore: Push | None
    collections: tuple[Collect, ...]
    trusted: int = 0


#: Steps that may be left out or done in another order, to show that each is needed.
MUTANTS = {
    "no-announcement": "a push writes no segment or intent before it looks for records",
    "check-before-announcement": "a push looks for records before it announces itself",
    "no-check": "a push does not look for records again",
    "swept-not-compared": "a push does not notice collections that came and went meanwhile",
    "names-come-back": "a push sends a pack by a name that a collection is about to delete",
    "no-void-check": "a push does not look whether its root was declared void",
    "void-before-root": "a push looks for that before it writes its root",
    "no-record": "a collection does not say what it will delete before it looks for pushes",
    "no-voids": "a collection does not declare sessions without a root void",
    "roots-before-voids": "a collection reads the roots, then declares sessions void",
    "roots-once": "a collection does not read the roots again",
    "shared-voids": "two collections declare a session void by one key, and either takes it back",
    "blind-to-others": "a collection takes a pack that another one deletes for one that stays",
    "record-removed-early": "a collection removes its record before it has deleted",
    "notices-of-others": "a collection removes the record of another whose packs are gone",
    "no-swept": "a collection does not say what it has deleted",
    "trash-ignored": "a collection keeps nothing for what lies in the trash",
}


@dataclass(frozen=True)
class Model:
    """How many processes there are, and which step is broken, if any.

    A push begins anew up to ``retries`` times. ``forgetting``: the old root may be moved to the
    trash and be removed from there.
    """

    pushes: int = 1
    collections: int = 1
    retries: int = 1
    restoring: bool = False
    forgetting: bool = True
    mutant: str = ""

    def start(self) -> State:
        sessions = self.pushes * (self.retries + 1) + 1
        none = (-1,) * self.collections
        return State(
            Remote(K, 0, (0,) * sessions, 0, none, none, LIVE),
            (Push(),) * self.pushes,
            Push() if self.restoring else None,
            (Collect(),) * self.collections,
        )

    def session(self, number: int, attempt: int) -> int:
        """The number of a session. The last one is that of whoever restores."""
        if number < 0:
            return self.pushes * (self.retries + 1)
        return number * (self.retries + 1) + attempt

    # what anybody sees

    def indexed(self, remote: Remote) -> int:
        """Packs that a segment names: those of announced sessions, and the old one."""
        return K | remote.sessions << 1

    def next(self, state: State) -> Iterator[State]:
        remote = state.remote
        if self.forgetting and remote.old < GONE:
            yield self.trust(state._replace(remote=remote._replace(old=remote.old + 1)))
        for number, push in enumerate(state.pushes):
            for after, one in self.push(remote, push, number):
                pushes = (*state.pushes[:number], one, *state.pushes[number + 1 :])
                yield self.trust(state._replace(remote=after, pushes=pushes))
        if state.restore is not None:
            for after, one in self.push(remote, state.restore, -1):
                yield self.trust(state._replace(remote=after, restore=one))
        for number, collect in enumerate(state.collections):
            for after, one2 in self.collect(remote, collect, number):
                all_ = (*state.collections[:number], one2, *state.collections[number + 1 :])
                yield self.trust(state._replace(remote=after, collections=all_))

    def trust(self, state: State) -> State:
        """Note the roots that nothing voids: whoever pushes takes them for complete."""
        remote = state.remote
        valid = sum(
            1 << s for s, void in enumerate(remote.voids) if remote.roots >> s & 1 and not void
        )
        for number, push in enumerate(state.pushes):
            if push.step == "done":
                valid |= 1 << self.session(number, push.attempt)
        if state.restore is not None and state.restore.step == "done":
            valid |= 1 << self.session(-1, 0)
        return state._replace(trusted=state.trusted | valid)

    # a push, or whoever restores

    def push(  # noqa: C901  a branch for each step
        self, remote: Remote, push: Push, number: int
    ) -> Iterator[tuple[Remote, Push]]:
        session = self.session(number, push.attempt)
        pack, bit = 2 << session, 1 << session
        go = push._replace
        doomed = sum_of(remote.doomed)
        swept = sum(1 << g for g, packs in enumerate(remote.swept) if packs >= 0)
        if push.step == "look":
            if number < 0 and remote.old not in (MOVING, TRASHED):
                return
            yield remote, go(step="list", avoid=doomed, swept=swept)
        elif push.step == "list":
            found = remote.packs & self.indexed(remote) & ~push.avoid
            if found:
                yield remote, go(step="announce", rely=found)
            elif number >= 0:
                # Clones send packs as they got them, by names that were there before.
                again = K if not push.avoid & K or self.mutant == "names-come-back" else pack
                yield remote, go(step="upload", rely=again)
        elif push.step == "upload":
            yield remote._replace(packs=remote.packs | push.rely), go(step="announce")
        elif push.step == "announce":
            after = remote._replace(sessions=remote.sessions | bit)
            if self.mutant == "no-announcement":
                after = remote
            if self.mutant == "check-before-announcement":
                if doomed & push.rely or swept & ~push.swept:
                    yield from self.again(remote, push, number)
                else:
                    yield remote, go(step="announce late")
                return
            yield after, go(step="root" if self.mutant == "no-check" else "check")
        elif push.step == "announce late":
            yield remote._replace(sessions=remote.sessions | bit), go(step="root")
        elif push.step == "check":
            news = 0 if self.mutant == "swept-not-compared" else swept & ~push.swept
            wary = push.rely & ~K if self.mutant == "names-come-back" else push.rely
            if doomed & wary or news:
                yield from self.again(remote, push, number)
            elif self.mutant == "void-before-root":
                yield remote, go(step="void first")
            else:
                yield remote, go(step="root")
        elif push.step == "void first":
            if remote.voids[session]:
                yield from self.again(remote, push, number)
            else:
                yield remote, go(step="root")
        elif push.step == "root":
            blind = self.mutant in ("no-void-check", "void-before-root")
            last = "done" if blind else "void"
            yield remote._replace(roots=remote.roots | bit), go(step=last)
        elif push.step == "void":
            if remote.voids[session]:
                yield from self.again(remote, push, number)
            else:
                yield remote, go(step="tidy" if number < 0 else "done")
        elif push.step == "tidy":
            yield remote._replace(old=GONE), go(step="done")

    def again(self, remote: Remote, push: Push, number: int) -> Iterator[tuple[Remote, Push]]:
        if number >= 0 and push.attempt < self.retries:
            yield remote, Push(attempt=push.attempt + 1)
        else:
            yield remote, push._replace(step="failed")

    # a collection

    def collect(  # noqa: C901  a branch for each step
        self, remote: Remote, one: Collect, g: int
    ) -> Iterator[tuple[Remote, Collect]]:
        go = one._replace
        others = sum_of(packs for h, packs in enumerate(remote.doomed) if h != g)
        if self.mutant == "blind-to-others":
            others = 0
        rooted = bool(remote.roots) or remote.old in (LIVE, MOVING)
        in_trash = remote.old in (MOVING, TRASHED) and self.mutant != "trash-ignored"
        if one.step == "look":
            yield remote, go(step="roots", others=others)
        elif one.step == "roots":
            yield remote, go(step="trash", rooted=rooted)
        elif one.step == "trash":
            yield remote, go(step="index", rooted=one.rooted or in_trash)
        elif one.step == "index":
            yield remote, go(step="packs", known=self.indexed(remote))
        elif one.step == "packs":
            for mine in self.candidates(one, remote.packs):
                yield remote, go(step="record" if mine else "end", mine=mine)
        elif one.step == "record":
            after = remote
            if self.mutant != "no-record":
                after = remote._replace(doomed=put(remote.doomed, g, one.mine))
            yield after, go(step="sessions")
        elif one.step == "sessions":
            yield remote, go(step="open", open=remote.sessions, known=self.indexed(remote))
        elif one.step == "open":
            open_ = one.open & ~remote.roots
            if self.mutant == "no-voids":
                open_ = 0
            if self.mutant == "roots-before-voids":
                yield remote, go(step="early", open=open_, rooted=rooted or in_trash)
            else:
                yield remote, go(step="void", open=open_)
        elif one.step == "early":
            yield remote, go(step="void")
        elif one.step == "void":
            if not one.open:
                late = self.mutant in ("roots-before-voids", "roots-once")
                yield remote, go(step="repack" if late else "again", voided=one.voided)
                return
            s = lowest(one.open)
            yield (
                self.void(remote, s, g),
                go(open=one.open & ~(1 << s), voided=one.voided | 1 << s),
            )
        elif one.step == "again":
            yield remote, go(step="roots again", others=others)
        elif one.step == "roots again":
            back = one.voided & remote.roots
            yield remote, go(step="take back", rooted=rooted, voided=back)
        elif one.step == "take back":
            if not one.voided:
                yield remote, go(step="trash again")
                return
            s = lowest(one.voided)
            yield self.unvoid(remote, s, g), go(voided=one.voided & ~(1 << s))
        elif one.step == "trash again":
            yield remote, go(step="repack", rooted=one.rooted or in_trash)
        elif one.step == "repack":
            mine = one.mine & remote.packs & ~self.needed(one, remote.packs)
            yield remote, go(step="say" if mine else "close", mine=mine)
        elif one.step == "say":
            after = remote
            if self.mutant != "no-swept":
                after = remote._replace(swept=put(remote.swept, g, one.mine))
            if self.mutant == "record-removed-early":
                after = after._replace(doomed=put(remote.doomed, g, -1))
            yield after, go(step="delete")
        elif one.step == "delete":
            if not one.mine:
                yield remote, go(step="close")
                return
            p = one.mine & -one.mine
            yield remote._replace(packs=remote.packs & ~p), go(mine=one.mine & ~p)
        elif one.step == "close":
            doomed = put(remote.doomed, g, -1)
            if self.mutant == "notices-of-others":
                doomed = tuple(p if p >= 0 and p & remote.packs else -1 for p in doomed)
            yield remote._replace(doomed=doomed), Collect(step="end")

    def candidates(self, one: Collect, packs: int) -> Iterator[int]:
        """Which packs nothing needs. One that holds the object is kept, whichever it is."""
        if not one.rooted:
            yield packs
            return
        usable = packs & one.known & ~one.others
        if not usable:
            yield 0
        while usable:
            home = usable & -usable
            usable &= ~home
            yield packs & ~home

    def needed(self, one: Collect, packs: int) -> int:
        """Which of the packs about to be deleted hold what has no other place that stays."""
        if not one.rooted or packs & one.known & ~one.others & ~one.mine:
            return 0
        return one.mine

    def void(self, remote: Remote, session: int, g: int) -> Remote:
        mark = 1 if self.mutant == "shared-voids" else 1 << g
        voids = put(remote.voids, session, remote.voids[session] | mark)
        return remote._replace(voids=voids)

    def unvoid(self, remote: Remote, session: int, g: int) -> Remote:
        mark = 1 if self.mutant == "shared-voids" else 1 << g
        voids = put(remote.voids, session, remote.voids[session] & ~mark)
        return remote._replace(voids=voids)


def put(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])


def sum_of(records: Iterable[int]) -> int:
    """The packs that any of some records names."""
    found = 0
    for packs in records:
        found |= max(0, packs)
    return found


def lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def is_lost(state: State) -> bool:
    """Tell whether somebody was told that the object is stored, and it is not."""
    remote = state.remote
    promised = state.trusted & remote.roots or remote.old < GONE
    return bool(promised) and not remote.packs


@dataclass(frozen=True)
class Explored:
    """What an exploration found.

    ``states`` is how many there are, ``done`` and ``deleted`` how often a root came to be relied
    on and a pack was deleted. ``trail`` is the way to a loss, empty if nothing is ever lost.
    """

    states: int
    done: int
    deleted: int
    trail: tuple[State, ...] = ()


def explore(model: Model, limit: int = 10_000_000) -> Explored:
    """Visit every state that can be reached, until one in which something is lost."""
    start = model.start()
    came: dict[State, State | None] = {start: None}
    queue = deque([start])
    done = deleted = 0
    while queue:
        state = queue.popleft()
        if is_lost(state):
            trail = [state]
            while (before := came[trail[-1]]) is not None:
                trail.append(before)
            return Explored(len(came), done, deleted, tuple(reversed(trail)))
        for after in model.next(state):
            if after not in came:
                came[after] = state
                queue.append(after)
                done += after.trusted != state.trusted
                deleted += after.remote.packs < state.remote.packs
        if len(came) > limit:
            raise RuntimeError(f"more than {limit} states")
    return Explored(len(came), done, deleted)


#: Small enough for every run of the tests.
SHORT = (
    Model(1, 1),
    Model(2, 1, retries=0),
    Model(1, 2, retries=0),
    Model(1, 1, restoring=True),
)
#: Minutes, and gigabytes of memory: ``python -m tests.model.gcprotocol``.
LONG = (
    Model(2, 1),
    Model(1, 2),
    Model(2, 1, retries=0, restoring=True),
    Model(1, 2, retries=0, restoring=True),
    Model(2, 2, retries=0, forgetting=False),
)
#: Of the smallest models that show what a missing step does, the first that does it.
HUNTERS = (Model(1, 1), Model(1, 2, retries=0))


def main() -> None:
    """Explore what takes too long for every run of the tests."""
    for model in LONG:
        found = explore(model, 1 << 40)
        print(f"{model}: {found.states:,} states, {'LOST' if found.trail else 'nothing is lost'}")
        if found.trail:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
