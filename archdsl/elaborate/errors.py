"""What elaboration can find: one function per code, facts in, a diagnostic out. The docstrings are the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.codes import code
from archdsl.diagnostic import Diagnostic, Label, Severity
from archdsl.elaborate.values import Value, described, shown
from archdsl.source import Span
from archdsl.suggest import nearest
from archdsl.synonyms import synonym


def _error(
    code: str, title: str, span: Span, text: str = "", hint: str | None = None, others: tuple[Label, ...] = ()
) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, title, Label(span, text), others, hint=hint)


def _meant(name: str, candidates: Iterable[str]) -> str | None:
    known = set(candidates)
    likely = synonym(name, known) or nearest(name, known)
    return f"did you mean `{likely}`?" if likely else None


# ---- names ------------------------------------------------------------------------------------------------------


@code("N201", "unknown-name")
def unknown_name(
    span: Span, name: str, candidates: Iterable[str], home: str | None = None, owner: str | None = None
) -> Diagnostic:
    """A name that nothing has given a meaning.

    Names come from primitives, imports, the file's own declarations, parameters and earlier statements.

    Wrong: `x -> cnv(16, 3)`. Right: `x -> conv(16, 3)`.
    """
    hint = f"`import {home} {{ {name} }}` brings it in" if home else _meant(name, candidates)
    if hint is None and owner is not None:
        hint = f"a parameter is declared in the head: `{owner}(..., {name} = ...)`"
    return _error("N201", f"unknown name `{name}`", span, hint=hint)


@code("N202", "used-before-given")
def used_before(span: Span, name: str, given: Span) -> Diagnostic:
    """A name is used above the statement that gives it a value.

    Statements run from top to bottom. A name given in only one branch of an `if` is known only where that branch was
    taken.

    Wrong: `b = a + 1` before `a = 2`. Right: `a = 2` first.
    """
    return _error("N202", f"`{name}` is used before it has a value", span, others=(Label(given, "given here"),))


@code("N203", "given-twice")
def given_twice(span: Span, name: str, first: Span) -> Diagnostic:
    """A name is given a second meaning.

    A name means one thing in its body or file, so that reading any one line is enough.

    Wrong: `x = a -> relu` and again `x = x -> bn`. Right: `x = a -> relu -> bn`, or two names.
    """
    return _error(
        "N203",
        f"`{name}` already has a meaning",
        span,
        others=(Label(first, "first given here"),),
        hint="choose another name",
    )


@code("N204", "unknown-module")
def unknown_module(span: Span, module: str, known: Iterable[str], reason: str = "") -> Diagnostic:
    """An import names a module or file that is not there.

    `import std.<name> { ... }` takes from the standard library, `import "file.arch" { ... }` from a file beside the
    importing one.

    Wrong: `import std.residul { basic }`. Right: `import std.residual { basic }`.
    """
    title = f"cannot import `{module}`: {reason}" if reason else f"there is no module `{module}`"
    return _error("N204", title, span, hint=_meant(module, known))


@code("N205", "not-in-module")
def not_in_module(span: Span, name: str, module: str, known: Iterable[str], home: str | None = None) -> Diagnostic:
    """An import takes a name that the module does not declare.

    Wrong: `import std.preact { widee }`. Right: `import std.preact { wide }`.
    """
    names = sorted(known)
    listed = f"it declares {', '.join(f'`{n}`' for n in names[:12])}" if names else "it declares nothing"
    hint = f"`{home}` declares it" if home else _meant(name, names)
    return _error("N205", f"`{module}` does not declare `{name}`", span, listed, hint)


@code("N206", "import-cycle")
def import_cycle(span: Span, chain: tuple[str, ...]) -> Diagnostic:
    """Files import each other in a circle.

    Wrong: `a.arch` imports `b.arch`, which imports `a.arch`. Right: what both need in a third file.
    """
    return _error("N206", f"these files import each other: {' -> '.join(chain)}", span)


@code("N207", "unknown-argument")
def unknown_argument(span: Span, name: str, callee: str, known: Iterable[str]) -> Diagnostic:
    """An argument is named that the layer, block or function does not have.

    Wrong: `conv(16, 3, strid=2)`. Right: `conv(16, 3, stride=2)`.
    """
    names = list(known)
    listed = f"it takes {', '.join(f'`{n}`' for n in names)}" if names else "it takes no arguments"
    return _error("N207", f"`{callee}` has no parameter `{name}`", span, listed, _meant(name, names))


@code("N208", "unknown-attribute")
def unknown_attribute(span: Span, name: str, known: Iterable[str], what: str) -> Diagnostic:
    """A dimension is asked for that the tensor does not have.

    Maps `[C, H, W]` have `channels`, `height`, `width`; token lists `[N, C]` have `tokens`, `features`; vectors `[C]`
    have `features`; all have `shape`.

    Wrong: `x.chanels`. Right: `x.channels`.
    """
    names = list(known)
    listed = f"it has {', '.join(f'`{n}`' for n in names)}" if names else ""
    return _error("N208", f"{what} has no `{name}`", span, listed, _meant(name, names))


@code("N209", "unknown-choice")
def unknown_choice(span: Span, kind: str, name: str, known: Iterable[str]) -> Diagnostic:
    """A network or variant is named that the file does not have, on the command line or in a row of `variants`.

    Wrong: `small = basic(16)`, where `basic` is a block. Right: `small = ResNet(20)`, a network.
    """
    names = list(known)
    listed = f"the file has {', '.join(f'`{n}`' for n in names)}" if names else f"the file has no {kind}s"
    return _error("N209", f"there is no {kind} `{name}` here", span, listed, _meant(name, names))


@code("N210", "never-built")
def never_built(span: Span, name: str, absent: tuple[str, ...]) -> Diagnostic:
    """A network has parameters without a value, and no variant gives them: nothing of it can be checked.

    Wrong: `network N(depth) { ... }` alone. Right: `depth = 20`, or a row of `variants` that calls `N(20)`.
    """
    names = " and ".join(f"`{part}`" for part in absent)
    hint = "give a default, a row of `variants`, or `-p` on the command line"
    title = f"`{name}` is never checked: nothing gives {names}"
    return Diagnostic("N210", Severity.WARNING, title, Label(span), hint=hint)


# ---- expressions ------------------------------------------------------------------------------------------------


@code("E301", "not-whole")
def not_whole(span: Span, what: str, arithmetic: str, others: tuple[Label, ...] = ()) -> Diagnostic:
    """A count or size is not a whole number.

    `/` divides exactly. Where a whole number is needed, a fraction is an error, with its arithmetic; `//`, `floor`,
    `ceil` and `round` are there when they are meant.

    Wrong: `unit * ((29 - 4) / 6)`. Right: a depth of 6n + 4.
    """
    return _error("E301", f"{what} needs a whole number", span, arithmetic, others=others)


@code("E302", "wrong-operands")
def wrong_operands(span: Span, operator: str, left: Value, right: Value, hint: str | None = None) -> Diagnostic:
    """An operator between values it does not join.

    `+ - * /` join numbers, and tensors; `layer * n` repeats; `->` applies a layer to a tensor or composes layers.

    Wrong: `conv(16, 3) + 1`. Right: `x + (x -> conv(16, 3))`.
    """
    return _error("E302", f"`{operator}` does not join {described(left)} and {described(right)}", span, hint=hint)


@code("E303", "missing-argument")
def missing_argument(
    span: Span, callee: str, missing: tuple[str, ...], declared: Span | None = None, needed: tuple[str, ...] = ()
) -> Diagnostic:
    """A layer, block or function is used without an argument it needs.

    A block may be passed on with some arguments open; they must be there when it is applied.

    Wrong: `x -> conv(16)`. Right: `x -> conv(16, 3)`.
    """
    names = " and ".join(f"`{m}`" for m in missing)
    others = (Label(declared, "declared here"),) if declared is not None else ()
    hint = f"write `{callee}({', '.join(needed)})`" if needed else None
    return _error("E303", f"`{callee}` still needs {names}", span, hint=hint, others=others)


@code("E304", "too-many-arguments")
def too_many_arguments(span: Span, callee: str, most: int, given: int, names: Sequence[str] = ()) -> Diagnostic:
    """A call has more arguments than there are parameters.

    Wrong: `relu(3)`, `reshape(16, 4, 4)`. Right: `relu`, `reshape([16, 4, 4])`.
    """
    wanted = {0: "no arguments", 1: "at most 1 argument"}.get(most, f"at most {most} arguments")
    hint = f"its parameters: {', '.join(f'`{name}`' for name in names)}" if names else None
    return _error("E304", f"`{callee}` takes {wanted}, got {given}", span, hint=hint)


@code("E305", "argument-twice")
def argument_twice(span: Span, name: str, callee: str) -> Diagnostic:
    """An argument is given twice.

    By place, arguments fill the parameters in order; by name, any of those that are left.

    Wrong: `conv(16, 3, kernel=5)`. Right: `conv(16, 5)`.
    """
    return _error("E305", f"`{name}` of `{callee}` is given twice", span)


@code("E306", "bad-arithmetic")
def bad_arithmetic(span: Span, reason: str) -> Diagnostic:
    """An arithmetic operation without a usable result: a division by zero, a number beyond all use.

    Wrong: `width / (n - n)`. Right: a divisor that is not zero.
    """
    return _error("E306", reason, span)


@code("E307", "no-such-item")
def no_such_item(span: Span, index: Value, length: int) -> Diagnostic:
    """An index outside its list. Items count from 0.

    Wrong: `[16, 32][2]`. Right: `[16, 32][1]`.
    """
    return _error("E307", f"there is no item {shown(index)} in a list of {length}", span, hint="items count from 0")


@code("E308", "not-callable")
def not_callable(span: Span, value: Value) -> Diagnostic:
    """Something is called that is neither a layer nor a function.

    Wrong: `n(3)` where `n = 2`. Right: `n * 3`.
    """
    return _error("E308", f"{described(value)} cannot be called", span)


@code("E309", "not-a-list")
def not_a_list(span: Span, value: Value) -> Diagnostic:
    """A list is needed, to go through or to take apart.

    Wrong: `for i in 4`. Right: `for i in 1..4`.
    """
    return _error("E309", f"a list is needed here, not {described(value)}", span, hint="a range is written `1..n`")


@code("E310", "wrong-count")
def wrong_count(span: Span, wanted: int, given: int) -> Diagnostic:
    """A list is taken apart into the wrong number of names.

    Wrong: `a, b = [1, 2, 3]`. Right: `a, b, c = [1, 2, 3]`.
    """
    return _error("E310", f"{wanted} names for {given} values", span)


@code("E311", "requirement")
def requirement_fails(span: Span, message: str | None, facts: str) -> Diagnostic:
    """A `require` of a block or network does not hold.

    Wrong: `basic(stride = 0)` where the block requires `stride >= 1`. Right: a stride of 1 or 2.
    """
    return _error("E311", message or f"this must hold: {span.text}", span, facts)


@code("E312", "wrong-argument")
def wrong_argument(span: Span, callee: str, reason: str, hint: str | None = None, text: str = "") -> Diagnostic:
    """An argument of the wrong kind, or out of its range.

    Wrong: `conv("16", 3)`, `dropout(1.5)`. Right: `conv(16, 3)`, `dropout(0.5)`.
    """
    return _error("E312", f"`{callee}`: {reason}", span, text, hint)


@code("E313", "not-a-condition")
def not_a_condition(span: Span, value: Value) -> Diagnostic:
    """A condition is neither true nor false.

    Wrong: `if stride { ... }`. Right: `if stride != 1 { ... }`.
    """
    return _error("E313", f"a condition is true or false, not {described(value)}", span)


@code("E314", "layer-called-on-tensor")
def layer_on_tensor(span: Span, name: str, tensor: str) -> Diagnostic:
    """A layer is called like a function on a tensor.

    Parentheses configure a layer; `->` applies it.

    Wrong: `relu(x)`. Right: `x -> relu`.
    """
    return _error(
        "E314",
        f"`{name}` is a layer: parentheses configure it, `->` applies it",
        span,
        hint=f"write `{tensor} -> {name}`",
    )


@code("E315", "not-a-tensor")
def not_a_tensor(span: Span, value: Value, what: str) -> Diagnostic:
    """A tensor is needed where something else stands.

    Wrong: `out = relu`. Right: `out = in -> relu`.
    """
    hint = "apply it to a tensor: `x -> ...`" if described(value).startswith("the layer") else None
    return _error("E315", f"{what} needs a tensor, not {described(value)}", span, hint=hint)


@code("E316", "no-output")
def no_output(span: Span, what: str, keyword: str) -> Diagnostic:
    """A block or network that gives nothing back.

    Wrong: a block without `out = ...`. Right: `out = in -> relu`.
    """
    return _error("E316", f"{what} gives no result", span, hint=f"end it with `{keyword} = ...`")


@code("E317", "wrong-place")
def wrong_place(span: Span, statement: str, place: str, hint: str) -> Diagnostic:
    """A statement stands where it has no meaning.

    Networks have `input` and `output`, blocks `in` and `out`; auxiliary outputs belong to networks.

    Wrong: `output = x` in a block. Right: `out = x`.
    """
    return _error("E317", f"`{statement}` has no place in {place}", span, hint=hint)


@code("E318", "wrong-type")
def wrong_type(span: Span, name: str, type_name: str, value: Value, declared: Span) -> Diagnostic:
    """An argument does not have the type its parameter declares.

    Types are `int`, `number`, `bool`, `text`, `list`, `layer`.

    Wrong: `unit(width = 1/2)` where `width: int`. Right: `unit(width = 16)`.
    """
    others = (Label(declared, f"`{name}: {type_name}`"),)
    return _error("E318", f"`{name}` takes a value of type {type_name}, not {described(value)}", span, others=others)


@code("E319", "unknown-type")
def unknown_type(span: Span, name: str, known: Iterable[str]) -> Diagnostic:
    """A parameter declares a type that does not exist.

    Wrong: `width: integer`. Right: `width: int`.
    """
    names = list(known)
    return _error("E319", f"there is no type `{name}`", span, f"types are {', '.join(names)}", _meant(name, names))


@code("E320", "unknown-init")
def unknown_init(span: Span, name: str, kind: str, known: Iterable[str]) -> Diagnostic:
    """An `init` line names a rule or a target that is not there.

    Wrong: `init conv.weight = he_normall`. Right: `init conv.weight = he_normal`.
    """
    names = list(known)
    return _error("E320", f"there is no {kind} `{name}`", span, f"known: {', '.join(names[:20])}", _meant(name, names))


@code("E321", "endless")
def endless(span: Span, name: str, reason: str, hint: str | None = None) -> Diagnostic:
    """Something needs itself before it can be known.

    A block is applied inside itself with the same arguments, or a constant is said in terms of its own value.

    Wrong: `block deep(n) { out = in -> deep(n) }`. Right: `deep(n - 1)`, under an `if` that ends it.
    """
    return _error("E321", f"`{name}` {reason}", span, hint=hint)


@code("E322", "missing-shape")
def missing_shape(span: Span, name: str) -> Diagnostic:
    """An input of a network without a shape.

    All sizes of a network follow from those of its inputs. The inputs of blocks need none: they are known where the
    block is applied.

    Wrong: `input image`. Right: `input image: [3, 32, 32]`.
    """
    return _error("E322", f"the input `{name}` needs a shape", span, hint=f"write `{name}: [3, 32, 32]`")


@code("E323", "extern-path")
def extern_path(span: Span) -> Diagnostic:
    """An extern does not name a Python class.

    The text names a module and a class in it, with a colon between: what `from module import Class` would import.

    Wrong: `= "layers.Deformable"`. Right: `= "layers:Deformable"`.
    """
    module, _, name = span.text.strip('"').rpartition(".")
    likely = module.replace(".", "").isidentifier() and name.isidentifier()
    hint = f'write `"{module}:{name}"`' if likely and ":" not in module else None
    return _error("E323", "an extern names a class as `module:Class`", span, hint=hint)


# ---- tensors ----------------------------------------------------------------------------------------------------


@code("T201", "annotation")
def annotation_differs(span: Span, text: str, found: str, value: Span, arithmetic: str) -> Diagnostic:
    """A shape annotation does not hold.

    Annotations are checked, never trusted.

    Wrong: `c: [16, 32, 32] = x -> conv(16, 3, stride=2)` on 32×32 maps. Right: `c: [16, 16, 16] = ...`.
    """
    others = (Label(value, f"this is {found}"),)
    return _error("T201", f"annotated {text}, but it is {found}", span, arithmetic, others=others)


@code("T202", "contract-input")
def contract_input(span: Span, contract: Span, text: str, found: str, name: str, arithmetic: str) -> Diagnostic:
    """A block is applied to a tensor that its contract does not admit.

    Wrong: `[C, H, W]` applied to a vector. Right: a map.
    """
    others = (Label(contract, "the contract"),)
    return _error("T202", f"`{name}` takes {text}, but this is {found}", span, arithmetic, others=others)


@code("T203", "shape-mismatch")
def shape_mismatch(span: Span, operator: str, reason: str, parts: tuple[Label, ...], hint: str | None) -> Diagnostic:
    """A merge of tensors whose shapes do not go together.

    `+`, `-`, `*` and the other element-wise merges need equal shapes, or sizes of 1 to broadcast; `concat` needs equal
    sizes in all dimensions but its own.

    Wrong: `main + in` where `main` was strided. Right: `main + (in -> shortcut(width, stride))`.
    """
    needs, _, shapes = reason.partition(": ")
    title = f"{operator} {needs.partition('` ')[2] or needs}" if shapes else f"{operator} does not fit: {reason}"
    return _error("T203", title, span, shapes, hint, parts)


@code("T204", "does-not-fit")
def does_not_fit(span: Span, name: str, reason: str, hint: str | None, made: Label | None) -> Diagnostic:
    """A layer cannot be applied to this tensor.

    The message shows the arithmetic: sizes follow (H + 2P - F)/S + 1.

    Wrong: `conv(16, 5, padding="valid")` on a 4×4 map. Right: a smaller kernel, or padding.
    """
    return _error("T204", f"`{name}` does not fit: {reason}", span, hint=hint, others=(made,) if made else ())


@code("T205", "contract-output")
def contract_output(span: Span, contract: Span, text: str, found: str, name: str, arithmetic: str) -> Diagnostic:
    """A block gives back another shape than its contract says.

    Wrong: `-> [width, H/2, W/2]` on a block that does not stride. Right: `-> [width, H, W]`.
    """
    others = (Label(contract, "the contract"),)
    return _error("T205", f"`{name}` promises {text}, but gives {found}", span, arithmetic, others=others)


@code("T206", "wrong-number-of-inputs")
def wrong_inputs(span: Span, name: str, wanted: str, given: int) -> Diagnostic:
    """A layer is applied to too many or too few tensors.

    Wrong: `(a, b) -> relu`. Right: `a + b -> relu`.
    """
    several = given > 1 and wanted == "one tensor"
    hint = "merge them first: `a + b`, `concat(a, b)`; or pick one: `xs[0]`" if several else None
    return _error("T206", f"`{name}` takes {wanted}, got {given}", span, hint=hint)


@code("T207", "shared-elsewhere")
def shared_elsewhere(span: Span, name: str, made: Span) -> Diagnostic:
    """A `shared` layer is used outside the body that made it.

    One set of weights belongs to one module; a block that is handed the layer would own a copy.

    Wrong: passing `shared f` to a block. Right: applying `f` in the body that declares it.
    """
    return _error(
        "T207",
        f"`shared {name}` can only be applied in the body that declares it",
        span,
        others=(Label(made, "declared here"),),
    )


@code("T208", "shared-sizes")
def shared_sizes(span: Span, name: str, first: str, now: str, made: Span) -> Diagnostic:
    """A `shared` layer is applied to tensors that need weights of different sizes.

    Wrong: `shared f = conv(16, 3)` on 16 and on 32 channels. Right: two layers.
    """
    title = f"`shared {name}` has one set of weights, and this use needs another"
    others = (Label(made, f"made here, for {first}"),)
    return _error(
        "T208", title, span, f"applied to {now}", "two layers, without `shared`, have weights of their own", others
    )


@code("T209", "not-a-layer")
def not_a_layer(span: Span, value: Value) -> Diagnostic:
    """`->` is followed by something that is not a layer.

    Wrong: `x -> 3`. Right: `x -> conv(16, 3)`.
    """
    return _error("T209", f"`->` needs a layer on its right, not {described(value)}", span)


@code("T210", "not-one-tensor")
def not_one_tensor(span: Span, name: str, count: int) -> Diagnostic:
    """A layer in a row of layers gives several tensors, or none that the next could take.

    Wrong: `split(2) -> relu`. Right: `a, b = x -> split(2)`.
    """
    return _error("T210", f"`{name}` gives {count} tensors; in a row of layers each gives one", span)


@code("T290", "worth-knowing")
def worth_knowing(span: Span, note: str) -> Diagnostic:
    """A fact about sizes that is easily overlooked: broadcasting, pixels that a window never reaches, uneven padding.

    It is a note, not a finding: nothing is wrong, and the exit code stays 0.

    `gate * maps` of `[C, 1, 1]` and `[C, H, W]` multiplies each map by one number.

    Wrong, where it was not meant: `x + table` of `[16, 1, 1]` and `[16, 8, 8]`. Right, and no note: equal shapes.
    """
    return Diagnostic("T290", Severity.NOTE, note, Label(span))


# ---- claims -----------------------------------------------------------------------------------------------------


@code("C501", "claim-fails")
def claim_fails(span: Span, metric: str, claimed: str, found: str, detail: str, hint: str | None) -> Diagnostic:
    """A claim of the file does not hold for the network in it.

    `=` claims the exact number, `~` that the exact number rounds to the digits printed, `<=` and `>=` a bound.

    Wrong: `expect params = 272_474` for option A. Right: `expect params = 269_722`.
    """
    return _error("C501", f"claimed {metric} {claimed}, found {found}", span, detail, hint)


@code("C502", "unknown-metric")
def unknown_metric(span: Span, name: str, known: Iterable[str]) -> Diagnostic:
    """A claim about something archdsl does not compute.

    Errors and times are quoted with `reported`; what is computed is claimed with `expect`.

    Wrong: `expect parms = 5K`. Right: `expect params = 5K`.
    """
    names = list(known)
    return _error(
        "C502", f"`{name}` is nothing that can be checked", span, f"known: {', '.join(names)}", _meant(name, names)
    )


@code("C503", "claim-form")
def claim_form(span: Span, reason: str) -> Diagnostic:
    """A claim whose value is not a number.

    Wrong: `expect params = "many"`. Right: `expect params = 1000`.
    """
    return _error("C503", reason, span)


@code("C601", "recipe")
def recipe_problem(span: Span, message: str, hint: str | None) -> Diagnostic:
    """A recipe holds a setting that is unknown, of the wrong kind or out of range.

    Wrong: `momentun = 0.9`. Right: `optimizer = sgd(lr=0.1, momentum=0.9)`.
    """
    return _error("C601", message, span, hint=hint)
