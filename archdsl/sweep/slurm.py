"""A sweep as a job array for Slurm: one task for each run.

Two minutes before the time limit Slurm sends USR1 to the script, which passes it on: the run saves itself and ends with
exit code 75, and the task is put into the queue again. TERM, as of `scancel`, is passed on too, but ends the task.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from archdsl.sweep.plan import Plan

FILE = "sweep.sbatch"
USUAL = 1001  # tasks of an array: Slurm's MaxArraySize where a cluster does not say otherwise
_GRACE = 120  # seconds to finish a step and save

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=archdsl-sweep
#SBATCH --array=0-{last}
#SBATCH --requeue
#SBATCH --signal=B:USR1@{grace}
# Give what the cluster wants to know on the command line: sbatch --time=12:00:00 --gres=gpu:1 {name}

cd {directory} || exit 3
{python} -m archdsl sweep {out} --task "$SLURM_ARRAY_TASK_ID" &
run=$!
again=
trap 'fired=yes again=yes; kill -USR1 "$run"' USR1
trap 'fired=yes; kill -TERM "$run"' TERM
code=127 fired=yes
while [ "$fired" ]; do  # a signal ends the waiting, not the run
    fired=
    wait "$run"
    ended=$?
    [ "$ended" = 127 ] || code=$ended
done
[ "$code" = 138 ] && code=75  # USR1 found it before it could catch any
if [ "$code" = 75 ] && [ "$again" ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


def script(plan: Plan, out: Path) -> str:
    """The text for `sbatch`."""
    return _SCRIPT.format(
        last=len(plan.runs) - 1,
        grace=_GRACE,
        name=FILE,
        directory=shlex.quote(os.getcwd()),
        python=shlex.quote(sys.executable),
        out=shlex.quote(str(out)),
    )
