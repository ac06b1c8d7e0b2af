"""Forty small texts made to take long, to take much, or to go deep."""

from __future__ import annotations

from collections.abc import Callable

KIB = 1024


def net(body: str, output: str = "x", head: str = "") -> str:
    """A network around a few statements."""
    return f"{head}network Net(n = 4) {{\n    input x: [4, 16, 16]\n    {body}\n    output = {output} -> relu\n}}\n"


def _filled(pattern: str, size: int, sep: str = "\n") -> str:
    """As many numbered copies of a pattern as fit."""
    parts: list[str] = []
    left = size
    for i in range(size):
        part = pattern.replace("@", str(i))
        left -= len(part) + len(sep)
        if left < 0:
            break
        parts.append(part)
    return sep.join(parts)


def _tower(levels: int, step: str, base: str) -> str:
    """Blocks b0, b1, ... each built from the one before by `step`."""
    blocks = [f"block b0(w = 4) {{\n    out = {base}\n}}"]
    blocks += [f"block b{i}(w = 4) {{\n    out = {step.replace('@', f'b{i - 1}')}\n}}" for i in range(1, levels)]
    return "\n".join(blocks) + "\n"


def _nested_if(levels: int) -> str:
    return "if n > 0 { " * levels + "\ny = x\n" + "} " * levels


def _imports(count: int) -> str:
    return "".join(f'import "unit.arch" {{ unit as u{i} }}\n' for i in range(count))


def _else_if(count: int) -> str:
    arms = " else ".join(f"if n == {i + 9} {{\n y{i} = x\n }}" for i in range(count))
    return arms + " else {\n z = x\n }"


BOMBS: dict[str, Callable[[], str]] = {
    # deep
    "a million round brackets": lambda: "x = " + "(" * 250_000,
    "balanced brackets": lambda: net("y = " + "(" * 2000 + "x" + ")" * 2000),
    "nested lists": lambda: "a = " + "[" * 5000 + "]" * 5000,
    "nested braces": lambda: net(_nested_if(60)),
    "nested calls": lambda: net("y = " + "floor(" * 59 + "1" + ")" * 59),
    "unary minus": lambda: "a = " + "-" * 40_000 + "1",
    "not not": lambda: "a = " + "not " * 10_000 + "true",
    "power tower": lambda: "a = " + "2^" * 10_000 + "1",
    "else if": lambda: net(_else_if(1200)),
    "choices": lambda: "a = " + "1 if false else " * 8_000 + "2",
    "postfix calls": lambda: "a = f" + "()" * 15_000,
    "postfix indices": lambda: "a = [1]" + "[0]" * 10_000,
    "attributes": lambda: net("y = x" + ".shape" * 8_000),
    "recursion without end": lambda: net("y = x -> r", head="block r() {\n    out = in -> r\n}\n"),
    "function recursion": lambda: net("y = f(n)", head="fn f(n) = f(n + 1)\n"),
    "mutual recursion": lambda: net("y = x -> a", head="block a() { out = in -> b }\nblock b() { out = in -> a }\n"),
    "doubling recursion": lambda: net(
        "y = x -> t(60)", head="block t(d) {\n    out = in if d == 0 else (in -> t(d - 1) -> t(d - 1))\n}\n"
    ),
    "recursion in many parameters": lambda: net(
        "y = x -> t(30, 0)",
        head="block t(d, k) {\n    out = in -> conv(4, 1) if d == 0 else (in -> t(d - 1, 2*k) -> t(d - 1, 2*k + 1))\n}\n",
    ),
    "doubling function": lambda: net("y = f(40)", head="fn f(d) = 1 if d == 0 else f(d - 1) + f(d - 1)\n"),
    # long
    "one long line": lambda: "a = " + _filled("1", 60 * KIB, " + "),
    "one long arrow": lambda: net("y = x" + " -> relu" * 7_000),
    "one long string": lambda: 'a = "' + "x" * 60_000 + '"',
    "string never closed": lambda: 'a = "' + "x\\" * 30_000,
    "doc comment never closed": lambda: '"""' + "x\n" * 30_000,
    "one long comment": lambda: "#" + "x" * 60_000,
    "digits": lambda: "a = " + "9" * 60_000,
    "identifier": lambda: "a" * 60_000 + " = 1",
    "blank lines": lambda: "\n" * 60_000,
    "carriage returns": lambda: "\r" * 60_000,
    "many statements": lambda: net(_filled("y@ = x -> conv(4, 1)", 60 * KIB, "\n    ")),
    "many declarations": lambda: _filled("block b@() { out = in -> relu }", 60 * KIB),
    "many networks": lambda: _filled("network N@() {\ninput x: [3, 8, 8]\noutput = x -> conv(4, 3)\n}", 60 * KIB),
    "many arguments": lambda: net("y = x -> conv(" + _filled("a@=1", 30 * KIB, ", ") + ")"),
    "many claims": lambda: net("expect " + _filled("params = @", 30 * KIB, ", ")),
    "many imports": lambda: _imports(900) + net("y = x"),
    "many dimensions": lambda: net("y: [" + _filled("@", 30 * KIB, ", ") + "] = x"),
    "many unknown names": lambda: net(_filled("y@ = zzz@", 60 * KIB, "\n    ")),
    "many syntax errors": lambda: _filled("a@ = = 1", 60 * KIB),
    "many unknown characters": lambda: "$ " * 30_000,
    "many hidden characters": lambda: "\u202e" * 20_000,
    "many open brackets": lambda: _filled("a@ = (1", 60 * KIB),
    "many open texts": lambda: _filled('a@ = "', 60 * KIB),
    "many nets of one block": lambda: (
        "block b() {\n"
        + _filled("a@ = in -> relu", 20 * KIB)
        + "\nout = in\n}\n"
        + net(_filled("y@ = x -> b", 20 * KIB, "\n    "))
    ),
    # large
    "repeat": lambda: net("y = x -> conv(4, 3) * 9999999"),
    "repeat of repeats": lambda: net("y = x -> ((conv(4, 1) * 1000) * 1000) * 1000"),
    "repeat out of bounds": lambda: net("y = x -> relu * 999999999999999999"),
    "repeat of widening": lambda: net("y = x -> grow * 100000", head="block grow() {\n    out = concat(in, in)\n}\n"),
    "repeat of shrinking": lambda: net("y = x -> zero_pad(30000) -> crop(1) * 29000"),
    "repeat of different": lambda: net("y = x -> chain(conv(i, 1) for i in 1..10000)"),
    "chain of chains": lambda: net("y = x -> chain(chain(conv(i + j, 1) for i in 1..300) for j in 1..300)"),
    "sum of many": lambda: net("y = sum(x -> conv(4, 1) for i in 1..10000)"),
    "sum of different": lambda: net("y = sum(x -> conv(i, 1) -> conv(4, 1) for i in 1..5000)"),
    "a row of comprehensions": lambda: "a = [[[1 for i in 1..1000] for j in 1..1000] for k in 1..1000]",
    "range": lambda: "a = len(1..999999999999999999)",
    "list doubling": lambda: (
        "a0 = [1, 2]\n" + _filled("a@x = a@ + a@", 0) + "\n".join(f"a{i + 1} = a{i} + a{i}" for i in range(60))
    ),
    "alias lists": lambda: (
        "a0 = [1, 2]\n"
        + "\n".join(f"a{i + 1} = [a{i}, a{i}]" for i in range(200))
        + "\n"
        + net("require a200 == a199\n    y = x -> conv(a200, 1)")
    ),
    "numbers squared": lambda: "a0 = 999999\n" + "\n".join(f"a{i + 1} = a{i} * a{i}" for i in range(60)),
    "powers": lambda: "a = 9^64^64\nb = (9^64)^64\nc = ((1/3)^64)^64\n",
    "a tower of blocks": lambda: _tower(200, "in -> @ -> @", "in -> conv(w, 1)") + net("y = x -> b63"),
    "a tower of sums": lambda: _tower(60, "(in -> @) + (in -> @)", "in -> conv(w, 1)") + net("y = x -> b59"),
    "a tower of widths": lambda: (
        _tower(40, "(in -> @(w)) + (in -> @(w + 1) -> conv(4, 1)) -> conv(w, 1)", "in -> conv(w, 1)")
        + net("y = x -> b39")
    ),
    "a tower of concatenations": lambda: _tower(60, "concat(in -> @, in -> @)", "in") + net("y = x -> b59"),
    "a tower of joins": lambda: _tower(60, "join(in -> @, in -> @)", "in -> conv(w, 1)") + net("y = x -> b30"),
    "huge sizes": lambda: net("y = x -> conv(2147483647, 2147483647)"),
    "huge upsampling": lambda: net("y = x -> upsample(2147483647) -> upsample(2147483647)"),
    "huge learned": lambda: net("y = learned([2147483647, 2147483647, 2147483647, 2147483647])"),
    "spatial pyramid": lambda: net("y = x -> spp([" + _filled("1", 20 * KIB, ", ") + "])"),
    "many variants": lambda: (
        net("y = x -> chain(conv(n + i, 1) for i in 1..2000)")
        + "variants {\n"
        + _filled("v@ = Net(@)", 40 * KIB)
        + "\n}\n"
    ),
    "many variants of loops": lambda: (
        net("k = len([i for i in 1..9999])\n    y = x") + "variants {\n" + _filled("v@ = Net(@)", 40 * KIB) + "\n}\n"
    ),
    "many networks of loops": lambda: (
        "a = 1..9999\n"
        + _filled("network N@() {\ninput x: [3, 8, 8]\nk = len([i for i in a])\noutput = x -> relu\n}", 40 * KIB)
    ),
    "many recipes": lambda: _filled("recipe r@ {\n    epochs = len([i for i in 1..9999])\n}", 60 * KIB),
    "many constants of loops": lambda: (
        _filled("c@ = len([i for i in 1..9999])", 40 * KIB) + "\n" + net("k = " + _filled("c@", 9 * KIB, " + "))
    ),
    "requirements of loops": lambda: net(_filled("require len([i for i in 1..9999]) > @", 40 * KIB, "\n    ")),
    "claims of loops": lambda: net(
        "y = x\n    expect " + _filled("params = len([i for i in 1..9999])", 40 * KIB, ", ")
    ),
    "doc comments": lambda: net("y = x", head='"""' + "A very long doc. " * 3000 + '"""\n'),
    "long names": lambda: net(_filled("y" + "a" * 55 + "@ = x -> relu", 60 * KIB, "\n    ")),
    "did you mean": lambda: (
        _filled("a" * 60 + "@ = 1", 30 * KIB) + "\n" + net(_filled("q@ = " + "a" * 58 + "b@", 30 * KIB, "\n    "))
    ),
    "reversed order": lambda: "\n".join(f"a{i} = a{i + 1}" for i in range(3000)) + "\n" + net("k = a0\n    y = x"),
    "zip of ranges": lambda: net("k = [a + b for a, b in zip(1..10000, 1..10000)]\n    y = x -> conv(len(k), 1)"),
    "fold over a range": lambda: net("fn f(a, i) = a + i\n    k = fold(f, 0, 1..10000)\n    y = x -> conv(k, 1)"),
    "fold of tensors": lambda: net("fn f(a, i) = a -> conv(4, 1)\n    y = fold(f, x, 1..9999)"),
    "scan of lists": lambda: net("fn f(a, i) = a + [i]\n    k = scan(f, [], 1..5000)\n    y = x -> conv(len(k), 1)"),
    "rows in rows": lambda: net("y = x -> " + "(" * 30 + "relu" + " * 3 -> tanh)" * 30 + " * 3"),
    "rows of rows": lambda: net("l = fold(f, relu, 1..9)\n    y = x -> l", head="fn f(a, i) = (a -> tanh) * 3\n"),
    "splits": lambda: net("y = x -> conv(10000, 1) -> split(10000) -> concat"),
    "strings compared": lambda: net(
        'k = [1 for i in 1..9999 if "' + "a" * 9999 + '" == "' + "a" * 9998 + 'b"]\n    y = x'
    ),
    "messages": lambda: net('require false, "' + "m" * 50_000 + '"'),
    "choices in a block": lambda: net(
        "y = x -> b(n)",
        head="block b(n) {\n" + _filled("a@ = in if n > @ else (in -> relu)", 50 * KIB) + "\nout = in\n}\n",
    ),
    "a block of many forms": lambda: net(
        "y = x -> chain(b(i) for i in 1..2000)",
        head="block b(n) {\n    out = in if n % 2 == 0 else (in -> conv(4, n % 7 + 1))\n}\n",
    ),
    "statistics of many shapes": lambda: net(
        "y = x -> conv(1, 1) -> chain(b(i) for i in 1..3000)",
        head="block b(n) {\n    a = in -> conv(n, 1) -> bn -> relu\n    out = concat(in, a) -> conv(1, 3)\n}\n",
    ),
}
