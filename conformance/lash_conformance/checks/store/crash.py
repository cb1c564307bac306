"""Crashes (STO.26, STO.80 to STO.89, LEA.30, LEA.31, QUE.60 to QUE.62, INP.50, INP.51, ATT.40 to ATT.45, FAC.20, MNT.20).

Each check looks at its rows of one drill: a process of the target is struck, the place is opened again, and
what is found is compared with what was acknowledged.
"""

from lash_conformance.bench import Bench
from lash_conformance.check import check
from lash_conformance.crash import COMMITS, chores_struck, cut_beside_each_other, killed_under_load, struck

TURNS = ("append", "first commit", "replace graph", "settle claims", "large commit")
QUEUE = ("enqueue work", "cancel work", "claim work")
INPUT = ("enqueue input", "cancel input")
REFUSED = ("append", "enqueue work", "put bytes")
EVERYTHING = (*COMMITS, "create session", "close the place", *QUEUE, *INPUT, "record intent")


# -- killed


@check("STO.80", needs=("durable",), kind="crash")
async def an_acknowledged_commit_survives_a_kill(bench: Bench) -> None:
    """A commit that was answered is read back after the process is killed and the place opened again."""
    await struck(bench, "kill", (*COMMITS, "close the place"), ("lost",))


@check("STO.80", "STO.82", needs=("durable",), kind="crash")
async def random_kills_under_load_lose_nothing(bench: Bench) -> None:
    """Writers killed at random moments find every acknowledged turn, each whole and once."""
    await killed_under_load(bench)


@check("STO.81", "STO.26", needs=("durable",), kind="crash")
async def a_commit_cut_short_by_a_kill_is_whole_or_absent(bench: Bench) -> None:
    """Killed at a step of a commit, the place reads as before it or as after it, and nothing of one refused before is there."""
    await struck(bench, "kill", TURNS, ("torn",))


@check("STO.82", needs=("durable",), kind="crash")
async def a_repeat_after_a_kill_settles_once(bench: Bench) -> None:
    """The commit sent again with its stamp by the next holder leaves the turn there once."""
    await struck(bench, "kill", TURNS, ("repeat",))


@check("STO.83", needs=("durable",), kind="crash")
async def a_place_opens_again_after_a_kill(bench: Bench) -> None:
    """Whatever the process was doing, its place can be opened and read."""
    await struck(bench, "kill", EVERYTHING, ("unopenable",))


@check("LEA.30", needs=("durable",), kind="crash")
async def the_lane_of_a_killed_holder_can_be_taken_over(bench: Bench) -> None:
    """Another owner is granted the lane once the dead holder's time has run out, and not before."""
    await struck(bench, "kill", ("append", "renew lane", "claim lane", "release lane"), ("lane",))


@check("STO.17", needs=("durable",), kind="crash")
async def a_last_commit_cut_short_lands_with_its_release_or_not_at_all(bench: Bench) -> None:
    """Killed in a commit that releases, its holder is found with turn and release, or with neither."""
    await struck(bench, "kill", ("last commit",), ("lost", "torn", "lane", "repeat"))


@check("LEA.31", needs=("durable",), kind="crash")
async def a_kill_does_not_turn_the_number_back(bench: Bench) -> None:
    """The number of the next lease exceeds those that were granted before the kill."""
    await struck(bench, "kill", ("claim lane", "release lane", "append"), ("number",))


@check("QUE.60", needs=("durable",), kind="crash")
async def queued_work_survives_a_kill(bench: Bench) -> None:
    """Work that was enqueued, claimed or cancelled is found so after a kill."""
    await struck(bench, "kill", QUEUE, ("lost", "torn", "repeat"))


@check("QUE.62", needs=("durable",), kind="crash")
async def ids_of_work_are_not_given_again_after_a_kill(bench: Bench) -> None:
    """Work that was cancelled and claims that were abandoned before the kill lend their ids to nothing after it."""
    await struck(bench, "kill", ("enqueue work", "claim work"), ("again", "number"))


@check("INP.51", needs=("durable",), kind="crash")
async def ids_of_input_are_not_given_again_after_a_kill(bench: Bench) -> None:
    """Input that was cancelled and claims that were abandoned before the kill lend their ids to nothing after it."""
    await struck(bench, "kill", ("enqueue input", "claim work"), ("again",))


@check("QUE.61", needs=("durable",), kind="crash")
async def an_outbox_is_sent_once_whenever_the_process_is_killed(bench: Bench) -> None:
    """After kill and repeat the outbox of the commit is in the queue, each batch once."""
    await struck(bench, "kill", ("commit with outbox",), ("lost", "torn", "repeat"))


@check("INP.50", needs=("durable",), kind="crash")
async def pending_input_survives_a_kill(bench: Bench) -> None:
    """Input that was enqueued or cancelled is found so after a kill, several cancels together."""
    await struck(bench, "kill", INPUT, ("lost", "torn", "repeat"))


@check("ATT.40", needs=("durable",), kind="crash")
async def bytes_that_were_put_survive_a_kill(bench: Bench) -> None:
    """Bytes whose put was answered are read back after a kill."""
    await struck(bench, "kill", ("put bytes",), ("lost", "repeat"))


@check("ATT.41", needs=("durable",), kind="crash")
async def an_id_never_names_bytes_cut_short_by_a_kill(bench: Bench) -> None:
    """A put cut short by a kill leaves all of the bytes under their id, or none."""
    await struck(bench, "kill", ("put bytes",), ("torn",))


@check("ATT.41", needs=("durable",), kind="crash")
async def an_id_never_names_bytes_cut_short_by_a_power_cut(bench: Bench) -> None:
    """A put cut short by a power cut leaves all of the bytes under their id, or none."""
    await struck(bench, "cut", ("put bytes",), ("torn", "unopenable"))


@check("ATT.44", needs=("durable",), kind="crash")
async def a_deletion_of_bytes_cut_short_leaves_them_whole_or_gone(bench: Bench) -> None:
    """Killed in a deletion, the bytes are read whole or not at all, those beside them are untouched, and deleting again ends it."""
    await struck(bench, "kill", ("delete bytes",), ("lost", "torn", "repeat"))


@check("ATT.45", needs=("durable", "manifest"), kind="crash")
async def bytes_that_are_referred_to_survive_whatever_is_cut_short(bench: Bench) -> None:
    """Adopted, collected beside, or left by another session, they are there after a kill."""
    await struck(bench, "kill", ("adopt attachment", "delete session", "gc", "delete bytes"), ("lost", "torn", "repeat"))


@check("ATT.42", needs=("durable", "manifest"), kind="crash")
async def manifest_rows_survive_a_kill(bench: Bench) -> None:
    """An intent that was recorded, and its adoption by a commit, are found after a kill."""
    await struck(bench, "kill", ("record intent", "adopt attachment"), ("lost", "torn", "repeat"))


@check("FAC.20", needs=("durable",), kind="crash")
async def a_deletion_cut_short_leaves_a_session_or_none(bench: Bench) -> None:
    """Killed in a deletion, the session is whole or gone, and deleting again leaves nothing of it."""
    await struck(bench, "kill", ("delete session",), ("lost", "torn", "repeat"))


@check("MNT.20", needs=("durable",), kind="crash")
async def a_chore_cut_short_changes_nothing_readable(bench: Bench) -> None:
    """Killed in a vacuum or a collection, the session reads as before."""
    await struck(bench, "kill", ("vacuum", "gc"), ("lost", "torn", "repeat"))


@check("STO.89", needs=("durable",), kind="crash")
async def a_chore_of_the_stores_own_cut_short_costs_nothing(bench: Bench) -> None:
    """In a long row of like calls, the one that does most besides is struck at its steps, and the power is cut there."""
    await chores_struck(bench)


@check("STO.80", "STO.81", "STO.82", "ATT.40", "QUE.60", needs=("durable",), kind="crash")
async def a_fallen_server_costs_nothing_acknowledged(bench: Bench) -> None:
    """When the server that keeps the data is stopped at once, calls are whole or absent, and what was answered is there."""
    scenes = ("append", "commit with outbox", "enqueue work", "put bytes")
    await struck(bench, "fall", scenes, ("lost", "torn", "repeat", "unopenable", "lane"))


# -- power cut


@check("STO.84", needs=("durable",), kind="crash")
async def a_commit_is_synced_before_its_answer(bench: Bench) -> None:
    """Between a commit and its answer something that it wrote was synced."""
    await struck(bench, "sync", COMMITS, ("unsynced",))


@check("STO.84", needs=("durable",), kind="crash")
async def an_acknowledged_commit_survives_a_power_cut(bench: Bench) -> None:
    """With everything undone that was not synced when the answer came, the commit is there."""
    await struck(bench, "cut", COMMITS, ("unsynced",))


@check("STO.84", needs=("durable",), kind="crash")
async def commits_in_flight_are_synced_each_before_its_answer(bench: Bench) -> None:
    """Sessions commit side by side, and what was synced when an answer left holds its turn, whoever shared the sync."""
    await cut_beside_each_other(bench)


@check("STO.85", needs=("durable",), kind="crash")
async def a_commit_cut_short_by_a_power_cut_is_whole_or_absent(bench: Bench) -> None:
    """With everything undone that was not synced at a step, the place reads as before the commit or as after it."""
    await struck(bench, "cut", (*COMMITS, "create session", "close the place"), ("torn", "unopenable", "repeat"))


@check("ATT.43", needs=("durable",), kind="crash")
async def bytes_that_were_put_survive_a_power_cut(bench: Bench) -> None:
    """With everything undone that was not synced when the answer came, the bytes are there."""
    await struck(bench, "cut", ("put bytes",), ("unsynced",))


# -- refused writes


@check("STO.86", needs=("durable",), kind="crash")
async def a_refused_write_is_answered_with_a_typed_error(bench: Bench) -> None:
    """When the disk is full, fails, or is interrupted, the call succeeds or is refused as the contract says."""
    await struck(bench, "refuse", REFUSED, ("untyped",))


@check("STO.87", needs=("durable",), kind="crash")
async def a_refused_write_costs_nothing_acknowledged(bench: Bench) -> None:
    """After a refused write all that was answered is there, in the process, after a kill and, if a sync failed, a power cut."""
    await struck(bench, "refuse", REFUSED, ("lost", "torn", "repeat", "unopenable", "lane", "unsynced"))


@check("STO.88", needs=("durable",), kind="crash")
async def a_session_goes_on_once_the_disk_has_room_again(bench: Bench) -> None:
    """The refused call, made again in the same process, succeeds when the disk no longer refuses."""
    await struck(bench, "refuse", REFUSED, ("stuck",))
