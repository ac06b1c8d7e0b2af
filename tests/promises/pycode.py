"""What a generated module may hold: an allow-list of its own, written without a look at the one in the back end."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_NODES = frozenset(
    """
    Module Import ImportFrom alias ClassDef FunctionDef arguments arg Assign AnnAssign Expr Return If For Assert Pass
    Name Attribute Call keyword Starred Constant JoinedStr FormattedValue BinOp UnaryOp BoolOp Compare IfExp Subscript
    Slice List Tuple ListComp GeneratorExp comprehension Load Store Add Sub Mult MatMult Div FloorDiv Mod Pow
    BitOr BitAnd RShift USub Not And Or Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn
    """.split()
)
_CALLED = frozenset(
    "super range sum len isinstance print tuple slice float int max min round any all zip enumerate reversed".split()
)
_IMPORTED = frozenset({"torch", "torch.nn", "torch.nn.functional"})
_DUNDERS = frozenset({"__init__", "__name__", "__main__"})
_FORBIDDEN = frozenset(
    """
    exec eval compile open input globals locals vars getattr setattr delattr breakpoint os sys subprocess builtins
    importlib pickle ctypes socket shutil help exit quit memoryview load save hub jit system popen
    """.split()
)


def escapes(tree: ast.Module, externs: frozenset[str] = frozenset()) -> str:
    """The first thing in a module that may not be there; empty where all is well."""
    known = _known(tree)
    return next((found for node in ast.walk(tree) for found in _node(node, known, externs)), "") or _top(tree)


def _known(tree: ast.Module) -> frozenset[str]:
    """What may be called by its bare name."""
    defined = {n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
    imported = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return _CALLED | defined | imported | bound


def _top(tree: ast.Module) -> str:
    for statement in tree.body:
        doc = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        main = isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"
        kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
        if not (doc or main or isinstance(statement, kinds)):
            return f"a {type(statement).__name__} at its top"
    return ""


def _node(node: ast.AST, known: frozenset[str], externs: frozenset[str]) -> Iterator[str]:
    kind = type(node).__name__
    if kind not in _NODES:
        yield f"a {kind}"
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        yield from (f"@{ast.unparse(d)}" for d in node.decorator_list if ast.unparse(d) != "staticmethod")
    if isinstance(node, ast.Import):
        yield from (f"import {a.name}" for a in node.names if a.name not in _IMPORTED)
    if isinstance(node, ast.ImportFrom) and node.module not in _IMPORTED | externs:
        yield f"from {node.module} import"
    if isinstance(node, ast.Name) and _bad(node.id):
        yield f"the name {node.id}"
    if isinstance(node, ast.Attribute) and _bad(node.attr) and not _own(node):
        yield f"the attribute {node.attr}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        yield from _call(node.func.id, known)


def _bad(name: str) -> bool:
    return (name.startswith("__") and name not in _DUNDERS) or name in _FORBIDDEN


def _own(node: ast.Attribute) -> bool:
    """A field of the module's own: `self.open` is one of its layers, `torch.load` is not."""
    return isinstance(node.value, ast.Name) and node.value.id == "self" and not node.attr.startswith("__")


def _call(name: str, known: frozenset[str]) -> Iterator[str]:
    if name not in known:
        yield f"a call of {name}"


def constants(tree: ast.Module) -> set[object]:
    """Every text, number and flag of a module."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
