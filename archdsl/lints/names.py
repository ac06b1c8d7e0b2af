"""Which names a file gives and who uses them: scopes of blocks, functions, comprehensions and contracts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, lru_cache

from archdsl.syntax import ast


@dataclass(eq=False, slots=True)
class Binding:
    """One name given a meaning.

    kind: import, block, network, fn, constant, extern, variant, parameter, input, name, loop, or dimension (a size that
    a contract names). owner: the declaration whose scope it is in, "" for the file. outer: what it hides.
    """

    name: ast.Name
    kind: str
    owner: str = ""
    outer: Binding | None = None
    uses: int = 0


@dataclass(eq=False, slots=True)
class _Scope:
    """Names in sight: this scope's, then those around it."""

    names: dict[str, Binding] = field(default_factory=dict[str, Binding])
    around: _Scope | None = None

    def find(self, name: str) -> Binding | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.around
        return None


@lru_cache(maxsize=4)
def bindings(file: ast.File) -> tuple[Binding, ...]:
    """All names of a file in the order in which they are given, with the number of their uses."""
    reader = _Reader()
    reader.file(file)
    return tuple(reader.found)


class _Reader:
    def __init__(self) -> None:
        self.found: list[Binding] = []
        self.owner = ""

    def give(self, scope: _Scope, name: ast.Name, kind: str) -> None:
        """A second giving in the same scope (the other branch of an `if`) is the same name."""
        if name.text in scope.names:
            return
        outer = scope.around.find(name.text) if scope.around else None
        binding = Binding(name, kind, self.owner, outer)
        scope.names[name.text] = binding
        self.found.append(binding)

    # --- declarations ---

    def file(self, file: ast.File) -> None:
        scope = _Scope()
        for declaration in file.declarations:
            self.declare(scope, declaration)
        for declaration in file.declarations:
            self.open(scope, declaration)

    def declare(self, scope: _Scope, declaration: ast.Declaration) -> None:
        if isinstance(declaration, ast.Import):
            for item in declaration.names:
                self.give(scope, item.alias or item.name, "import")
        elif isinstance(declaration, ast.Block):
            self.give(scope, declaration.name, declaration.keyword.text)
        elif isinstance(declaration, ast.Function):
            self.give(scope, declaration.name, "fn")
        elif isinstance(declaration, ast.Constant):
            self.give(scope, declaration.name, "constant")
        elif isinstance(declaration, ast.ExternDecl):
            self.give(scope, declaration.name, "extern")

    def open(self, scope: _Scope, declaration: ast.Declaration) -> None:
        if isinstance(declaration, ast.Block):
            self.block(scope, declaration)
        elif isinstance(declaration, ast.Function):
            self.function(scope, declaration)
        elif isinstance(declaration, ast.Constant):
            self.use(scope, declaration.value)
        elif isinstance(declaration, ast.Variants):
            for row in declaration.rows:
                self.use(scope, row.call)
                self.claims(scope, row.claims)
        elif isinstance(declaration, ast.Recipe):
            for setting in declaration.settings:
                self.use(scope, setting.value)
        elif isinstance(declaration, ast.ExternDecl):
            self.extern(scope, declaration)

    def extern(self, scope: _Scope, declaration: ast.ExternDecl) -> None:
        inner = _Scope(around=scope)
        self.contract(inner, declaration.contract)
        for param in declaration.params:
            inner.names.setdefault(param.name.text, Binding(param.name, "parameter"))
        self.use(inner, declaration.count)

    def block(self, scope: _Scope, block: ast.Block) -> None:
        inner = _Scope(around=scope)
        self.owner = block.name.text
        self.parameters(inner, block.params)
        if block.contract is not None:
            self.contract(inner, block.contract)
        self.give_all(inner, block.body)
        self.statements(inner, block.body)
        self.owner = ""

    def parameters(self, scope: _Scope, params: Iterable[ast.Param]) -> None:
        for param in params:
            self.give(scope, param.name, "parameter")
        for param in params:
            if param.default is not None:
                self.use(scope, param.default)

    def contract(self, scope: _Scope, contract: ast.Contract) -> None:
        """A size that no parameter has is given by the contract's left side."""
        for name in _names(contract.inputs):
            if scope.find(name.text) is None:
                self.give(scope, name, "dimension")
        for shape in (*contract.inputs, *contract.outputs):
            self.use(scope, shape)

    def function(self, scope: _Scope, function: ast.Function) -> None:
        inner = _Scope(around=scope)
        before, self.owner = self.owner, function.name.text
        self.parameters(inner, function.params)
        self.use(inner, function.value)
        self.owner = before

    # --- statements ---

    def give_all(self, scope: _Scope, body: Iterable[ast.Statement]) -> None:
        """Enter the names of a body; both branches of an `if` give names to the body itself."""
        for statement in body:
            if isinstance(statement, ast.Assign):
                self.give_targets(scope, statement.targets, "name")
            elif isinstance(statement, ast.Input):
                self.give_targets(scope, statement.targets, "input")
            elif isinstance(statement, ast.Function):
                self.give(scope, statement.name, "fn")
            elif isinstance(statement, ast.If):
                self.give_all(scope, (*statement.then, *statement.otherwise))

    def give_targets(self, scope: _Scope, targets: Iterable[ast.Target], kind: str) -> None:
        for target in targets:
            self.give(scope, target.name, kind)

    def statements(self, scope: _Scope, body: Iterable[ast.Statement]) -> None:
        for statement in body:
            self.statement(scope, statement)

    def statement(self, scope: _Scope, statement: ast.Statement) -> None:
        if isinstance(statement, ast.Function):
            self.function(scope, statement)
        elif isinstance(statement, ast.If):
            self.use(scope, statement.condition)
            self.statements(scope, (*statement.then, *statement.otherwise))
        elif isinstance(statement, ast.Claims):
            self.claims(scope, statement.claims)
        elif isinstance(statement, ast.Init):
            self.use(scope, statement.target)
            self.use(scope, statement.rule)
        else:
            for value in _expressions(statement):
                self.use(scope, value)

    def claims(self, scope: _Scope, claims: Iterable[ast.Claim]) -> None:
        for claim in claims:
            self.use(scope, claim.value)

    # --- expressions ---

    def use(self, scope: _Scope, value: ast.Expr) -> None:
        """Count every name in an expression for what it means there."""
        if isinstance(value, ast.Name):
            if (binding := scope.find(value.text)) is not None:
                binding.uses += 1
        elif isinstance(value, ast.Comprehension):
            self.comprehension(scope, value)
        else:
            for part in _parts(value):
                self.use(scope, part)

    def comprehension(self, scope: _Scope, value: ast.Comprehension) -> None:
        self.use(scope, value.source)
        inner = _Scope(around=scope)
        for name in value.names:
            self.give(inner, name, "loop")
        self.use(inner, value.item)
        if value.condition is not None:
            self.use(inner, value.condition)


def _expressions(statement: ast.Statement) -> Iterator[ast.Expr]:
    """The expressions of a plain statement, the shapes of its targets included."""
    if isinstance(statement, (ast.Assign, ast.Input)):
        yield from (target.shape for target in statement.targets if target.shape is not None)
    if isinstance(statement, (ast.Output, ast.Aux)) and statement.target.shape is not None:
        yield statement.target.shape
    if isinstance(statement, (ast.Assign, ast.Output, ast.Aux)):
        yield statement.value
    if isinstance(statement, ast.Aux):
        yield statement.weight
    if isinstance(statement, ast.Require):
        yield statement.condition
        if statement.message is not None:
            yield statement.message


def expressions(file: ast.File) -> Iterator[ast.Expr]:
    """Every expression of a file's bodies and functions, outer ones first."""
    for declaration in file.declarations:
        if isinstance(declaration, (ast.Function, ast.Constant)):
            yield from _inside([declaration.value])
        elif isinstance(declaration, ast.Block):
            yield from expressions_of(declaration)


def expressions_of(block: ast.Block) -> Iterator[ast.Expr]:
    """Every expression of one body, outer ones first."""
    return _inside(_in_body(block.body))


def _inside(outermost: Iterable[ast.Expr]) -> Iterator[ast.Expr]:
    todo = list(outermost)
    while todo:
        value = todo.pop(0)
        yield value
        todo = [*_parts(value), *todo]


def _in_body(body: Iterable[ast.Statement]) -> Iterator[ast.Expr]:
    for statement in body:
        if isinstance(statement, ast.If):
            yield statement.condition
            yield from _in_body((*statement.then, *statement.otherwise))
        elif isinstance(statement, ast.Function):
            yield statement.value
        else:
            yield from _expressions(statement)


# What stands in these fields is a sign or a name of something else, not a value.
_NOT_VALUES = frozenset({"operators", "operator", "span"})


def _parts(value: ast.Expr) -> Iterator[ast.Expr]:
    """The expressions directly inside one."""
    if isinstance(value, ast.Attribute):
        yield value.value
    elif isinstance(value, ast.Apply):
        yield value.callee
        yield from (argument.value for argument in value.arguments)
    else:
        for name in _values_of(type(value)):
            yield from _listed(getattr(value, name))


@cache
def _values_of(kind: type[ast.Expr]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in _NOT_VALUES)


def _listed(part: object) -> Iterator[ast.Expr]:
    if isinstance(part, tuple):
        yield from part  # pyright: ignore[reportUnknownVariableType]
    elif is_dataclass(part):
        yield part  # type: ignore[misc]


def _names(shapes: Iterable[ast.Expr]) -> Iterator[ast.Name]:
    """All names in expressions."""
    for value in shapes:
        if isinstance(value, ast.Name):
            yield value
        else:
            yield from _names(_parts(value))
