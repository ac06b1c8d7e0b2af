"""The imports of a generated module: of torch what is used, and the classes that the spec names but does not define."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.names import NOT_CLASS, Names


def extern_names(externs: Mapping[str, str]) -> dict[str, str]:
    """What the class behind each mark is called in the file."""
    names = Names(NOT_CLASS)
    return {mark: names.claim(_parts(path)[1]) for path, mark in externs.items()}


def import_lines(tree: ast.Module, externs: Mapping[str, str]) -> tuple[str, ...]:
    """The import lines of a module, sorted as `ruff` sorts them."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = extern_names(externs)
    lines = [_extern(path, names[mark]) for path, mark in externs.items()]
    standard = sorted(line for path, line in zip(externs, lines, strict=True) if _is_standard(path))
    others = sorted((line for line in lines if line not in standard), key=lambda line: line.split()[1])
    return (*standard, *([""] if standard else []), *_merged(_torch(used), others))


def _torch(used: Iterable[str]) -> list[str]:
    used = set(used)
    lines = ["import torch"] if "torch" in used else []
    from_torch = [name for name in ("Tensor", "nn") if name in used]
    lines += [f"from torch import {', '.join(from_torch)}"] if from_torch else []
    return [*lines, "from torch.nn import functional as F"] if "F" in used else lines


def _merged(torch: list[str], others: list[str]) -> list[str]:
    """Plain imports first, then the others by module."""
    plain = [line for line in torch if line.startswith("import")]
    rest = [*others, *(line for line in torch if line.startswith("from"))]
    return [*plain, *sorted(rest, key=lambda line: line.split()[1].lower())]


def _extern(path: str, name: str) -> str:
    module, wanted = _parts(path)
    return f"from {module} import {wanted}" + (f" as {name}" if name != wanted else "")


def _parts(path: str) -> tuple[str, str]:
    """Module and class of an extern."""
    module, _, name = path.partition(":")
    words = [*module.split("."), name]
    if not all(word.isascii() and word.isidentifier() for word in words):
        raise InternalError(f"no class to import: {path[:200]!r}")
    return module, name


def _is_standard(path: str) -> bool:
    return _parts(path)[0].split(".")[0] in sys.stdlib_module_names
