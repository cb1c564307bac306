"""The plan: which calls are steps, which are struck, and what counts as synced."""

from pathlib import Path

from lash_conformance import strace
from lash_conformance.steps import Step, Watched, chosen, row, syncs_before_answering

WATCHED = Watched(Path("/p"), "pipe:[9]")
OPENED = '1 write(1<pipe:[9]>, "{}\\n", 3) = 3'
ANSWER = '1 write(1<pipe:[9]>, "{\\"result\\":1}\\n", 13) = 13'


def found(*lines: str) -> list[Step]:
    return row(strace.read([OPENED, *lines, ANSWER]), WATCHED)


def test_a_row_is_what_was_asked_between_two_answers():
    """Writes, syncs, sizes and names of the place, and the answer; nothing of other files."""
    steps = found(
        '1 openat(AT_FDCWD</>, "/p/a", O_RDONLY) = 3</p/a>',
        '1 openat(AT_FDCWD</>, "/p/b", O_RDWR|O_CREAT, 0644) = 4</p/b>',
        '1 pwrite64(4</p/b>, "x", 1, 0) = 1',
        '1 write(5</elsewhere>, "x", 1) = 1',
        "1 ftruncate(4</p/b>, 8) = 0",
        "1 fdatasync(4</p/b>) = 0",
        '1 rename("/p/b", "/p/c") = 0',
        "1 fsync(6</p>) = 0",
    )

    assert [(step.kind, str(step)) for step in steps] == [
        ("name", "openat b"), ("write", "pwrite64 b"), ("size", "ftruncate b"), ("sync", "fdatasync b"),
        ("name", "rename b"), ("sync", "fsync ."), ("reply", "write answer"),
    ]  # fmt: skip


def test_steps_are_numbered_by_thread_and_name_from_the_beginning():
    """As the tracer counts; a number that another thread had first cannot be aimed at."""
    steps = found('2 write(4</p/b>, "x", 1) = 1', '2 write(4</p/b>, "y", 1) = 1', '1 write(4</p/b>, "z", 1) = 1')

    assert [(step.nth, step.aimed) for step in steps] == [(1, False), (2, True), (2, False), (3, True)]
    assert steps[1].blow().option == "inject=write:signal=SIGKILL:when=2"


def test_sends_are_steps_of_a_target_that_touches_no_file():
    """Its data is kept by a server; a single byte only wakes an event loop."""
    sent = '1 sendto(7<socket:[5]>, "COMMIT", 6, 0, NULL, 0) = 6'
    woken = '1 sendto(8<socket:[6]>, "\\0", 1, 0, NULL, 0) = 1'

    assert [step.kind for step in found(sent, woken)] == ["send", "reply"]
    assert [step.kind for step in found(sent, '1 pwrite64(4</p/b>, "x", 1, 0) = 1')] == ["write", "reply"]


def _steps(kinds: str) -> list[Step]:
    names = {"w": "write", "s": "sync", "r": "reply"}
    return [Step(n, names[kind], kind, "a", n, aimed=True) for n, kind in enumerate(kinds)]  # pyright: ignore[reportArgumentType]


def test_few_blows_fall_where_they_tell_most():
    """Before the answer, then at the first step, then right after a sync, where one call may be settled in two parts."""
    steps = _steps("wwwwswwwwwwsr")

    assert [step.position for step in chosen(steps, 1)] == [12]
    assert [step.position for step in chosen(steps, 2)] == [0, 12]
    assert [step.position for step in chosen(steps, 3)] == [0, 5, 12]
    assert chosen(steps, None) == steps


def test_steps_that_cannot_be_aimed_at_are_left_out():
    """The tracer would strike another thread."""
    steps = [Step(0, "write", "write", "a", 1, aimed=False), *_steps("ws")]

    assert chosen(steps, None) == steps[1:]


def test_synced_means_after_the_write_and_before_the_answer():
    """Of the same file; a sync that had not returned does not count."""
    write, sync = '1 pwrite64(4</p/b>, "x", 1, 0) = 1', "1 fdatasync(4</p/b>) = 0"

    def told(*lines: str) -> str:
        calls = strace.read([OPENED, *lines])
        return syncs_before_answering(calls, row(calls, WATCHED))

    assert told(write, sync, ANSWER) == ""
    assert told(sync, write, ANSWER) == "b written, not synced, and answered"
    assert told(write, "1 fsync(4</p/other>) = 0", ANSWER) == "b written, not synced, and answered"
    assert told(write, "2 fdatasync(4</p/b> <unfinished ...>", ANSWER, "2 <... fdatasync resumed>) = 0") != ""
    assert told(ANSWER) == "nothing was written before the answer"
