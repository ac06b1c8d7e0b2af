"""The metrics as TensorBoard events: `tensorboard --logdir runs`.

The file is written whole from all rows, as `metrics.csv` is, and each time begins with the same bytes, so that a
TensorBoard that watches it finds the new rows behind those it knows. Times are seconds since the run began.
"""

# tensorboard's generated classes are not annotated
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from archdsl.train.progress import Row

FILE = "events.out.tfevents.archdsl"
TAGS = {
    "log/train_error": "train_error",
    "log/test_error": "test_error",
    "log/validation_error": "validation_error",
    "log/train_loss": "train_loss",
    "log/test_loss": "test_loss",
    "log/lr": "lr",
}
"""Tag of the events → column of the metrics. Errors are shares."""


def events(rows: Sequence[Row]) -> bytes:
    """The content of an event file: one scalar for each tag and row, at the epoch's number."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    out = io.BytesIO()
    writer = RecordWriter(out)
    writer.write(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
    seconds = 0.0
    for row in rows:
        seconds += row.seconds
        summary = {"value": [{"tag": tag, "simple_value": value} for tag, value in _values(row)]}
        writer.write(Event(wall_time=seconds, step=row.epoch, summary=summary).SerializeToString())
    return out.getvalue()


def _values(row: Row) -> Iterator[tuple[str, float]]:
    for tag, column in TAGS.items():
        value = getattr(row, column)
        if value is not None:
            yield tag, value
