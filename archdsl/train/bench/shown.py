"""The measurement as a command: what was found on standard output, what went wrong in one line."""

from __future__ import annotations

import json
import sys

from archdsl.fsio import FileTrouble
from archdsl.ir.graph import Graph
from archdsl.train.bench.asked import Asked
from archdsl.train.bench.result import document, text
from archdsl.train.bench.run import measure
from archdsl.train.job import Job
from archdsl.train.trouble import TrainTrouble


def shown(asked: Asked, job: Job, graph: Graph, form: str) -> int:
    """Measure and print; the exit code."""
    try:
        result = measure(asked, job, graph)
    except (TrainTrouble, FileTrouble) as trouble:
        sys.stderr.write(f"archdsl: {trouble}\n")
        return trouble.exit_code if isinstance(trouble, TrainTrouble) else TrainTrouble.exit_code
    sys.stdout.write(
        json.dumps(document(result), indent=2, ensure_ascii=False) + "\n" if form == "json" else text(result)
    )
    return 0
