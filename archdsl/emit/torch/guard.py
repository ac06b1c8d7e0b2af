"""The last look at a generated module: it may hold only what the back end writes, whatever the spec said.

Names and texts of a spec pass through `names` and `text`, which let nothing through that could become code. This is the
second lock: the finished text is parsed, and every statement, every call and every name in it must be on a list.
Helper classes are compared with their own source instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.helpers import HELPERS

_NODES = (
    ast.Module,
    ast.Import,
    ast.ImportFrom,
    ast.alias,
    ast.ClassDef,
    ast.FunctionDef,
    ast.arguments,
    ast.arg,
    ast.Assign,
    ast.AnnAssign,
    ast.Expr,
    ast.Return,
    ast.If,
    ast.For,
    ast.Assert,
    ast.Pass,
    ast.Name,
    ast.Attribute,
    ast.Call,
    ast.keyword,
    ast.Starred,
    ast.Constant,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Subscript,
    ast.Slice,
    ast.List,
    ast.Tuple,
    ast.ListComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
)
_BUILTINS = frozenset({"super", "range", "sum", "len", "isinstance", "print", "tuple"})
_METHODS = frozenset(
    {"__init__", "amax", "backward", "chunk", "expand", "flatten", "forward", "mean", "modules", "numel", "parameters"}
    | {"permute", "sum", "transpose", "unflatten"}
)
_TORCH = re.compile(
    r"torch\.(cat|full|matmul|maximum|minimum|ones|randn|sigmoid|stack|tanh|zeros)|nn\.[A-Z]\w*|nn\.init\.[a-z]+(_[a-z]+)*_"
    r"|F\.[a-z]\w*"
)
_CONTROL = re.compile(r"[^\n -~\u00a0-\U0010ffff]")
_IMPORTS = frozenset({"import torch", "from torch import Tensor, nn", "from torch import nn"})


def check(text: str, helpers: Iterable[str], externs: Iterable[str]) -> None:
    """Raises `InternalError` for a module that holds anything it should not."""
    if _CONTROL.search(text):
        raise InternalError("a generated module holds a control character")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InternalError(f"a generated module is no Python: {error}") from error
    known = frozenset(helpers)
    own = [node for node in tree.body if not _is_helper(node, known)]
    problem = next(_problems(own, tree, frozenset(externs)), None)
    if problem is not None:
        raise InternalError(f"a generated module holds {problem}")


def _is_helper(node: ast.stmt, helpers: frozenset[str]) -> bool:
    if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name not in helpers:
        return False
    return ast.dump(node) == _helper(node.name)


@cache
def _helper(name: str) -> str:
    return ast.dump(ast.parse(HELPERS[name]).body[0])


def _problems(own: list[ast.stmt], tree: ast.Module, externs: frozenset[str]) -> Iterator[str]:
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    imported = {a.asname or a.name for n in own if isinstance(n, ast.ImportFrom) for a in n.names}
    for statement in own:
        yield from _misplaced(statement)
        for node in ast.walk(statement):
            yield from _problem(node, defined | imported, externs)


def _misplaced(statement: ast.stmt) -> Iterator[str]:
    """At the top stand the docstring, imports, classes, and the check that runs when the module does."""
    doc = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    if not doc and not isinstance(statement, (ast.Import, ast.ImportFrom, ast.ClassDef)) and not _is_check(statement):
        yield f"a {type(statement).__name__} at its top"


def _is_check(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _problem(node: ast.AST, classes: set[str], externs: frozenset[str]) -> Iterator[str]:
    if not isinstance(node, _NODES):
        yield f"a {type(node).__name__}"
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from _import(node, externs)
    elif isinstance(node, ast.Call):
        yield from _call(node.func, classes)
    elif isinstance(node, ast.Name) and node.id.startswith("__") and node.id != "__name__":
        yield f"the name {node.id}"
    elif isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr != "__init__":
        yield f"the attribute {node.attr}"
    elif isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] != ["nn.Module"]:
        yield f"a class {node.name} that is no module"


def _import(node: ast.Import | ast.ImportFrom, externs: frozenset[str]) -> Iterator[str]:
    source = ast.unparse(node)
    allowed = {f"{path.partition(':')[0]} {path.partition(':')[2]}" for path in externs}
    extern = isinstance(node, ast.ImportFrom) and f"{node.module} {node.names[0].name}" in allowed
    functional = source == "from torch.nn import functional as F"
    if source not in _IMPORTS and not functional and not (extern and len(node.names) == 1):
        yield f"the import `{source}`"


def _call(function: ast.expr, classes: set[str]) -> Iterator[str]:
    source = ast.unparse(function)
    if isinstance(function, ast.Name):
        local = source in ("network", "branch") or re.fullmatch(r"branch_*|[bnijkm]_*", source)
        if source not in classes | _BUILTINS and not local:
            yield f"a call of {source}"
    elif isinstance(function, ast.Attribute):
        own = re.fullmatch(r"self\.\w+", source)
        if not own and not _TORCH.fullmatch(source) and function.attr not in _METHODS:
            yield f"a call of {source}"
    elif not (isinstance(function, ast.Subscript) and re.fullmatch(r"self\.\w+\[\d+\]", source)):
        yield f"a call of {source}"
