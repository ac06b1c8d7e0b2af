"""Files to modules: imports followed, names entered in one table per file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from archdsl.diagnostic import Diagnostics
from archdsl.elaborate import errors
from archdsl.elaborate.known import Known
from archdsl.limits import FILES
from archdsl.source import Source, Span
from archdsl.syntax import ast

Declared = ast.Block | ast.Function | ast.Constant | ast.ExternDecl | ast.Recipe
STD = Path(__file__).parent.parent / "std"

# Reads the file that a relative import names: (importing source, path) -> source, or the reason why not.
Reader = Callable[[Source, str], "Source | str"]


@dataclass(eq=False, slots=True)
class Module:
    """One file with the meaning of its names. `names` maps a name to its declaration and the module that has it."""

    source: Source
    file: ast.File
    names: dict[str, tuple[Module, Declared]] = field(default_factory=dict[str, "tuple[Module, Declared]"])
    damaged: frozenset[str] = frozenset()

    def declared(self) -> list[str]:
        """The names that others can import."""
        return [name for name, (home, _) in self.names.items() if home is self]


@dataclass(slots=True)
class Loader:
    """Follows imports from one file. `reader` gives access to files beside it; without one there is only `std`."""

    bag: Diagnostics
    reader: Reader | None = None
    known: Known = field(default_factory=Known)
    _loaded: dict[str, Module | None] = field(default_factory=dict[str, "Module | None"])
    _open: list[str] = field(default_factory=list[str])

    def load(self, source: Source) -> Module | None:
        """The module of a file, its imports included; None where the text could not be read at all."""
        parsed = self.known.parse(source, self.bag)
        if parsed is None:
            return None
        module = Module(parsed.file.span.source, parsed.file, damaged=parsed.damaged)
        self._open.append(source.name)
        for declaration in parsed.file.declarations:
            if isinstance(declaration, ast.Import):
                self._import(module, declaration)
            elif isinstance(declaration, Declared):
                self._enter(module, declaration.name, (module, declaration))
        self._open.pop()
        return module

    def imported(self) -> list[Module]:
        """The files that were imported, directly or through others; the library is not among them."""
        return [module for module in self._loaded.values() if module is not None]

    def _enter(self, module: Module, name: ast.Name, meaning: tuple[Module, Declared]) -> None:
        if name.text in module.names:
            self.bag.add(errors.given_twice(name.span, name.text, _first_place(module, name.text)))
        else:
            module.names[name.text] = meaning

    def _import(self, module: Module, declaration: ast.Import) -> None:
        other = self._find(module, declaration)
        for item in declaration.names:
            local = item.alias or item.name
            if other is None:
                module.damaged |= {local.text}  # said once, at the import
                continue
            meaning = other.names.get(item.name.text)
            if meaning is not None and meaning[0] is other:
                self._enter(module, local, meaning)
            elif item.name.text not in other.damaged:
                name, home = item.name, home_of(item.name.text)
                self.bag.add(errors.not_in_module(name.span, name.text, _title(declaration), other.declared(), home))
                module.damaged |= {local.text}
            else:
                module.damaged |= {local.text}

    def _find(self, module: Module, declaration: ast.Import) -> Module | None:
        if isinstance(declaration.path, ast.Text):
            return self._relative(module, declaration.path)
        name = ".".join(part.text for part in declaration.path)
        span = declaration.path[0].span.to(declaration.path[-1].span)
        library = standard_module(name)
        if library is None:
            self.bag.add(errors.unknown_module(span, name, standard_names()))
        return library

    def _relative(self, module: Module, path: ast.Text) -> Module | None:
        if self.reader is None or module.source.library:
            self.bag.add(errors.unknown_module(path.span, path.value, (), "files are not at hand here"))
            return None
        found = self.reader(module.source, path.value)
        if isinstance(found, str):
            reason = found.partition(": ")[2] if found.startswith("cannot read") else found
            self.bag.add(errors.unknown_module(path.span, path.value, (), reason))
            return None
        return self._once(found, path.span)

    def _once(self, source: Source, span: Span) -> Module | None:
        if source.name in self._open:
            chain = (*self._open[self._open.index(source.name) :], source.name)
            self.bag.add(errors.import_cycle(span, chain))
            return None
        if source.name not in self._loaded:
            if len(self._loaded) >= FILES.value:
                from archdsl.syntax.errors import over_limit

                self.bag.add(over_limit(FILES, span))
                return None
            self._loaded[source.name] = None  # counted before its own imports are followed
            self._loaded[source.name] = self.load(source)
        return self._loaded[source.name]


def _title(declaration: ast.Import) -> str:
    path = declaration.path
    return path.value if isinstance(path, ast.Text) else ".".join(part.text for part in path)


def _first_place(module: Module, name: str) -> Span:
    for declaration in module.file.declarations:
        if isinstance(declaration, ast.Import):
            for item in declaration.names:
                if (item.alias or item.name).text == name:
                    return item.span
        elif isinstance(declaration, Declared) and declaration.name.text == name:
            return declaration.name.span
    return module.file.span


def standard_names() -> list[str]:
    """All modules of the standard library, as imports name them."""
    return sorted(f"std.{path.stem}" for path in STD.glob("*.arch"))


@cache
def standard_module(name: str) -> Module | None:
    """A module of the standard library; read once in a process."""
    family, _, stem = name.partition(".")
    path = STD / f"{stem}.arch"
    if family != "std" or not stem.isidentifier() or not path.is_file():
        return None
    bag = Diagnostics()
    module = Loader(bag).load(Source(name, path.read_text(encoding="utf-8"), library=True))
    if module is None or len(bag):
        raise AssertionError(f"the standard library does not read: {[d.title for d in bag]}")
    return module


@cache
def _standard_texts() -> dict[str, str]:
    return {name: (STD / f"{name.partition('.')[2]}.arch").read_text(encoding="utf-8") for name in standard_names()}


def home_of(name: str) -> str | None:
    """The standard module that declares `name`, for a hint."""
    for module, text in _standard_texts().items():
        if f"block {name}(" in text or f"fn {name}(" in text:
            return module
    return None


def beside(source: Source, path: str, read: Callable[[str], Source]) -> Source | str:
    """Resolve a relative import against the importing file: a plain POSIX path, forward only or with leading `..`."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or "\\" in path or ":" in path or pure.suffix != ".arch":
        return "an import names an .arch file by a relative path"
    base = PurePosixPath(source.name).parent
    parts = [part for part in (base / pure).parts if part != "."]
    resolved: list[str] = []
    for part in parts:
        if part == ".." and resolved and resolved[-1] not in ("..", "/"):
            resolved.pop()
        else:
            resolved.append(part)
    try:
        return read(str(PurePosixPath(*resolved)))
    except (OSError, ValueError) as reason:
        return str(getattr(reason, "strerror", None) or reason)
