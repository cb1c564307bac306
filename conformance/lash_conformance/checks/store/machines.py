"""Machines: the store driven beside the model through generated calls, and shrunk to a transcript.

Each machine backs the clauses it names by searching for a run in which the store and the model disagree;
examples say what each clause means, a machine says that nothing around it breaks it.
"""

from lash_conformance.bench import Bench
from lash_conformance.check import check
from lash_conformance.machine import searched
from lash_conformance.rules_commit import CommitRules
from lash_conformance.rules_lane import LaneRules
from lash_conformance.rules_place import AttachmentRules, PlaceRules
from lash_conformance.rules_work import InputRules, QueueRules, WorkRules


@check(
    "LEA.1", "LEA.2", "LEA.3", "LEA.4", "LEA.5", "LEA.6", "LEA.7", "LEA.8", "LEA.9", "LEA.10", "LEA.12",
    "LEA.14", "LEA.15", "LEA.16", "LEA.17", "LEA.18", "LEA.19", "LEA.22",
    kind="machine",
)  # fmt: skip
async def any_run_of_the_lane_goes_as_the_model_says(bench: Bench) -> None:
    """Claims, renewals, releases and reclaims by five owners answer what the model of the lane predicts."""
    await searched(bench, LaneRules)


@check(
    "STO.1", "STO.2", "STO.3", "STO.4", "STO.5", "STO.8", "STO.10", "STO.11", "STO.12", "STO.13", "STO.14",
    "STO.15", "STO.16", "STO.17", "STO.18", "STO.20", "STO.22", "STO.30", "STO.32", "STO.33", "STO.35",
    "STO.36", "STO.37", "STO.50", "STO.51", "STO.52", "STO.53", "STO.54", "STO.55", "STO.56", "STO.57",
    "STO.60", "STO.61", "STO.62", "STO.63", "STO.64",
    "GRA.1", "GRA.2", "GRA.3", "GRA.4", "GRA.5", "GRA.6", "GRA.7", "GRA.8", "GRA.9", "GRA.20", "GRA.21",
    "GRA.22", "GRA.23", "GRA.24", "GRA.25", "GRA.26", "GRA.27", "GRA.28", "GRA.29", "GRA.30", "GRA.32", "GRA.33",
    "MNT.1", "MNT.2", "MNT.3", "MNT.4", "MNT.5", "MNT.7", "MNT.8", "MNT.9", "FAC.7", "FAC.8",
    kind="machine",
)  # fmt: skip
async def any_run_of_commits_goes_as_the_model_says(bench: Bench) -> None:
    """Commits, repeats and chores over two sessions leave the head, graph, checkpoint and ledger of the model."""
    await searched(bench, CommitRules)


@check(
    "QUE.1", "QUE.2", "QUE.3", "QUE.4", "QUE.5", "QUE.7", "QUE.8", "QUE.10", "QUE.11", "QUE.12", "QUE.13",
    "QUE.14", "QUE.15", "QUE.16", "QUE.17", "QUE.18", "QUE.19", "QUE.20", "QUE.21", "QUE.22", "QUE.23",
    "QUE.25", "QUE.27", "QUE.30", "QUE.40", "QUE.41", "QUE.42", "QUE.43", "QUE.44", "QUE.45", "QUE.46",
    "QUE.47", "QUE.48", "QUE.49", "QUE.50", "QUE.51", "QUE.52", "STO.23", "STO.24",
    kind="machine",
)  # fmt: skip
async def any_run_of_queued_work_goes_as_the_model_says(bench: Bench) -> None:
    """Batches enqueued, claimed, settled, abandoned and cancelled under changing holders follow the model."""
    await searched(bench, QueueRules)


@check(
    "INP.1", "INP.2", "INP.3", "INP.4", "INP.5", "INP.7", "INP.8", "INP.9", "INP.11", "INP.12", "INP.13",
    "INP.14", "INP.15", "INP.16", "INP.17", "INP.18", "INP.19", "INP.20", "INP.21", "INP.22", "INP.24",
    "INP.25", "INP.26", "INP.27", "INP.28", "INP.29", "INP.30", "INP.31", "INP.33", "INP.34", "INP.35",
    "INP.36", "INP.37", "INP.38",
    kind="machine",
)  # fmt: skip
async def any_run_of_pending_input_goes_as_the_model_says(bench: Bench) -> None:
    """Input enqueued, claimed, settled, deferred and cancelled under changing holders follows the model."""
    await searched(bench, InputRules)


@check("QUE.28", "QUE.29", "STO.21", "STO.9", kind="machine")
async def any_run_of_both_families_goes_as_the_model_says(bench: Bench) -> None:
    """Checkpoint claims and commits that settle both families follow the model."""
    await searched(bench, WorkRules)


@check(
    "ATT.1", "ATT.2", "ATT.3", "ATT.4", "ATT.5", "ATT.6", "ATT.7", "ATT.8", "ATT.9", "ATT.10", "ATT.11",
    "ATT.12", "ATT.14", "ATT.15", "ATT.16", "ATT.22", "ATT.23", "ATT.24", "ATT.25", "ATT.26", "ATT.30",
    "FAC.2", "FAC.5", "FAC.6", "FAC.9", "FAC.10",
    needs=("manifest",), kind="machine",
)  # fmt: skip
async def any_run_of_attachments_goes_as_the_model_says(bench: Bench) -> None:
    """Intents, adoptions, reconciliations, deletions and bytes leave the references of the model."""
    await searched(bench, AttachmentRules)


@check("STO.20", "STO.31", "STO.70", "STO.71", "FAC.3", "FAC.4", "FAC.7", "FAC.8", "QUE.9", kind="machine")
async def any_run_of_a_whole_place_goes_as_the_model_says(bench: Bench) -> None:
    """Everything at once, sessions deleted and made again included, follows the model."""
    await searched(bench, PlaceRules)
