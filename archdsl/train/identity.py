"""What a run is of. Two runs of the same identity compute the same numbers, given the same machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from archdsl.recipe import Recipe
from archdsl.train.data.images import Images
from archdsl.train.job import Job, TrainConfig

Identity = Mapping[str, Any]
"""Plain values, as a checkpoint keeps them in JSON; of long texts and of weights a digest."""

_SHOWN = 3  # differences; a run of another file differs in many


def identity(config: TrainConfig, job: Job, recipe: Recipe, images: Images, weights: str) -> Identity:
    """Of network, arguments, recipe and images; `weights` is a digest of those that are begun with or learned from."""
    known = {
        "network": job.network,
        "arguments": {name: repr(value) for name, value in sorted(job.arguments.items())},
        "model.py": hashlib.sha256(job.module.encode()).hexdigest(),
        "auxiliary_weights": list(job.auxiliary_weights),
        "recipe": json.loads(recipe.model_dump_json()),
        "data": images.name,
        "images": {"train": len(images.train), "test": len(images.test), "fingerprint": images.fingerprint},
        "epochs": config.epochs,
        "dry_run": config.dry_run,
        "weights": weights,
    }
    return json.loads(json.dumps(known))  # as it will be read again


def differences(then: object, now: Identity) -> str:
    """What is another now than in an identity that a checkpoint kept, in words; nothing where all is the same.

    A setting that recipes did not have when it was kept counts as it stands in recipes that do not speak of it.
    """
    if not isinstance(then, Mapping):
        return "it does not say of what it is"
    found = list(_differences("", _with_defaults(cast("Identity", then)), now))
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _with_defaults(then: Identity) -> Identity:
    try:
        recipe = Recipe.model_validate_json(json.dumps(then.get("recipe")))
    except ValidationError:  # of a version that knows more
        return then
    return {**then, "recipe": json.loads(recipe.model_dump_json())}


def _differences(path: str, then: object, now: object) -> Iterator[str]:
    before, after = _parts(then), _parts(now)
    if before is None or after is None or before.get("kind") != after.get("kind"):
        if then != now:
            yield f"{path} was {_shown(then)}, is {_shown(now)}"
        return
    for name in [*after, *(name for name in before if name not in after)]:
        yield from _differences(f"{path}.{name}" if path else name, before.get(name), after.get(name))


def _parts(value: object) -> Mapping[str, object] | None:
    """Of records by name, of lists by place, as `--set` counts."""
    if isinstance(value, list):
        return {str(place): part for place, part in enumerate(cast("list[object]", value))}
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _shown(value: object) -> str:
    """In a few words: a record by its kind, a digest by its first digits."""
    if isinstance(value, Mapping):
        return str(cast("Mapping[str, object]", value).get("kind", "something else"))
    if isinstance(value, str):
        return value if len(value) <= 40 else f"{value[:12]}…"
    return "none" if value is None else json.dumps(value)
