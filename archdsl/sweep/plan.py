"""What a sweep runs, decided and written down before anything does: variants × settings × seeds."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archdsl.fsio import read_limited, write_atomic
from archdsl.inputs import Misuse
from archdsl.train.trouble import TrainTrouble
from archdsl.visible import visible

FILE = "sweep.json"
MOST = 10_000  # runs of one sweep
_LARGEST = 1 << 26
_SEED, _DIGITS = 2**31 - 1, 10
_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
_ODD = re.compile(r"[^A-Za-z0-9._=-]+")


class Run(BaseModel):
    """One of the runs."""

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=-]*$", max_length=200)]
    """Of its folder, inside the sweep's."""
    variant: str | None
    changes: tuple[str, ...]
    """What `--set` changes of the recipe, the seed apart."""
    seed: int
    digest: str = ""
    """Of the network and the recipe, the seed apart: a file that was changed since is noticed."""


class Plan(BaseModel):
    """A sweep. `options` are those of `archdsl train` that all runs share, written as on the command line."""

    model_config = _STRICT

    version: Literal[1] = 1
    spec: str
    options: tuple[str, ...]
    runs: tuple[Run, ...]

    def __str__(self) -> str:
        names = "".join(f"  {run.name}\n" for run in self.runs)
        count = len(self.runs)
        options = f", all with {shlex.join(self.options)}" if self.options else ""
        return visible(f"{self.spec}: {count} run{'s' * (count != 1)}{options}") + f"\n{names}"


def crossed(stem: str, variants: str | None, changes: Sequence[str], seeds: str) -> tuple[Run, ...]:
    """Each variant with each combination of settings with each seed; a file without `--variants` goes by its name."""
    _refuse_twice([change.partition("=")[0] for change in changes])
    rows = [None] if variants is None else _parts(variants.replace("-", "_"), "--variants")  # no name has a hyphen
    points = list(itertools.product(*map(_choices, changes)))
    numbers = _seeds(seeds)
    if len(rows) * len(points) * len(numbers) > MOST:
        raise Misuse(f"a sweep has at most {MOST:,} runs")
    names = _names(points)
    return tuple(
        Run(name=f"{_plain(row or stem)[:64]}{name}-seed{seed}", variant=row, changes=point, seed=seed)
        for row in rows
        for point, name in zip(points, names, strict=True)
        for seed in numbers
    )


def read(out: Path) -> Plan | None:
    """The plan of the sweep in a folder; None where there is none. Raises TrainTrouble where it is damaged."""
    path = out / FILE
    if not path.exists():
        return None
    try:
        return Plan.model_validate_json(read_limited(path, _LARGEST))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise TrainTrouble(f"{path} is not as it was written: {place}: {first['msg']}") from None


def write(out: Path, plan: Plan) -> None:
    """Write it down."""
    write_atomic(out / FILE, (plan.model_dump_json(indent=2) + "\n").encode())


def differences(old: Plan, new: Plan) -> Iterator[str]:
    """In words, in what two plans differ."""
    if old.spec != new.spec:
        yield f"its file is {old.spec}, not {new.spec}"
    if old.options != new.options:
        yield f"its options are {_options(old)}, not {_options(new)}"
    before, after = ({run.name: run for run in plan.runs} for plan in (old, new))
    if gone := [name for name in before if name not in after]:
        yield f"not asked for now: {_some(gone)}"
    if added := [name for name in after if name not in before]:
        yield f"not in its plan: {_some(added)}"
    if changed := [name for name in before.keys() & after.keys() if before[name] != after[name]]:
        yield f"the network or the recipe of {_some(sorted(changed))} is another in {new.spec} by now"


def refuse_twins(runs: Sequence[Run]) -> None:
    """Runs that differ only in how their settings are written would be counted as settings of their own."""
    first: dict[tuple[str | None, int, str], Run] = {}
    for run in runs:
        other = first.setdefault((run.variant, run.seed, run.digest), run)
        if other is not run:
            pairs = [pair for pair in zip(other.changes, run.changes, strict=True) if pair[0] != pair[1]]
            one, two = (", ".join(f"--set {pair[n]}" for pair in pairs) for n in (0, 1))
            raise Misuse(f"{one} and {two} are the same recipe: each needs to be asked for once")


def _options(plan: Plan) -> str:
    return shlex.join(plan.options) or "none"


def _some(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _parts(text: str, flag: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise Misuse(f"{flag} is empty")
    if twice := [part for part in dict.fromkeys(parts) if parts.count(part) > 1]:
        raise Misuse(f"{flag} has {twice[0]} twice")
    return parts


def _seeds(text: str) -> list[int]:
    """`3` is 0, 1 and 2; `4,7` are those two, `4,` is that one."""
    parts = _parts(text, "--seeds")
    if not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS and int(part) <= _SEED for part in parts):
        raise Misuse(f"--seeds takes how many, such as 3, or which, such as 4,7; not {text[:80]!r}")
    if "," in text:
        return list(dict.fromkeys(map(int, parts)))
    if not 1 <= int(text) <= MOST:
        raise Misuse(f"--seeds takes 1 to {MOST:,} of them, not {int(text):,}")
    return list(range(int(text)))


def _refuse_twice(keys: Sequence[str]) -> None:
    """A key that is set twice has the last value alone, and its runs the names of all."""
    plain = [_key(key) for key in keys]
    if twice := [key for key in dict.fromkeys(plain) if plain.count(key) > 1]:
        raise Misuse(f"--set {twice[0]} is there twice: give all its values at once, as --set {twice[0]}=A,B")


def _key(key: str) -> str:
    return key.strip().removeprefix("recipe.")


def _choices(change: str) -> list[str]:
    """`optimizer.lr=0.1,0.05` as two changes. Commas inside brackets or quotes part nothing."""
    key, sign, text = change.partition("=")
    if not sign:
        raise Misuse(f"--set takes KEY=VALUE or KEY=VALUE,VALUE, such as --set optimizer.lr=0.1,0.05, not {change!r}")
    if _key(key) == "seed":
        raise Misuse("--set seed: a sweep takes its seeds from --seeds")
    return list(dict.fromkeys(f"{key.strip()}={value}" for value in _values(text)))


def _values(text: str) -> list[str]:
    found, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "([{") - (letter in ")]}")
        if letter == "," and not quoted and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [value.strip() for value in found]


def _names(points: Sequence[tuple[str, ...]]) -> list[str]:
    """What tells the combinations apart, as the middle of a folder's name."""
    varied = [n for n, column in enumerate(zip(*points, strict=True)) if len(set(column)) > 1]
    names = ["".join("-" + _plain(point[n]) for n in varied) for point in points]
    if len(set(names)) == len(names) and max(map(len, names)) <= 100:
        return names
    return [f"-{number + 1}" for number in range(len(points))]


def _plain(text: str) -> str:
    return _ODD.sub("_", text).lstrip("._=-") or "run"
