"""How PyTorch spells each primitive: one row each, one table, in the order of `OPS`.

An argument is printed only where it differs from PyTorch's own default; a traced one always, since its value is not
known to the class.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import cast

from archdsl.emit.torch.row import Layer, Row
from archdsl.ops.activation import learned_shape
from archdsl.ops.attrs import is_map, is_traced, sides, table_of, text, wholes
from archdsl.ops.conv import is_symmetric, needs_pad_layer, padding_of
from archdsl.ops.merge import is_plain_mean
from archdsl.ops.norm import normalised
from archdsl.ops.op import Dim, Value
from archdsl.scalar import Expr, Number, Scalar

# --- values -------------------------------------------------------------------------------------------------------

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "neg": 3}
_ATOM = 4


def show(value: Value) -> str:
    """A value as Python source: traced numbers as their expression, everything else as a literal."""
    if isinstance(value, tuple):
        return "(" + ", ".join(show(part) for part in value) + (",)" if len(value) == 1 else ")")
    if isinstance(value, Scalar):
        return expression(value.term)[0]
    if isinstance(value, (bool, type(None))):
        return str(value)
    return f'"{value}"' if isinstance(value, str) else literal(value)[0]


def expression(expr: Expr) -> tuple[str, int]:
    """The source of an expression over names, and how tightly it binds."""
    if isinstance(expr, str):
        return expr, _ATOM
    if not isinstance(expr, tuple):
        return literal(expr)
    operator, *operands = cast("tuple[str, *tuple[Expr, ...]]", expr)
    parts = [expression(operand) for operand in operands]
    if operator not in _PRECEDENCE:
        return f"{operator}({', '.join(part for part, _ in parts)})", _ATOM
    binds = _PRECEDENCE[operator]
    if operator == "neg":
        return "-" + _wrapped(parts[0], binds), binds
    return f"{_wrapped(parts[0], binds)} {operator} {_wrapped(parts[1], binds + 1)}", binds


def _wrapped(part: tuple[str, int], least: int) -> str:
    source, binds = part
    return source if binds >= least else f"({source})"


def literal(number: Number) -> tuple[str, int]:
    """A number as Python source: digits, a decimal where that is exact, else a quotient; and how tightly it binds."""
    if isinstance(number, int) or number.denominator == 1:
        source = str(int(number))
    else:
        source = repr(float(number)).replace("e-0", "e-")
        if Fraction(source) != number:
            return f"{number.numerator} / {number.denominator}", _PRECEDENCE["/"]
    return source, _PRECEDENCE["neg"] if source.startswith("-") else _ATOM


# --- pieces of calls ----------------------------------------------------------------------------------------------


def _operand(source: str) -> str:
    """A source that can stand beside an operator or before a dot: in parentheses unless it is one term."""
    depth = 0
    for character in source:
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and character == " ":
            return f"({source})"
    return f"({source})" if source.startswith("-") else source


def _option(layer: Layer, name: str, value: Value, default: Value) -> tuple[str, ...]:
    """`name=value`, where the value is not the default."""
    return (f"{name}={layer.show(value)}",) if is_traced(value) or value != default else ()


def _alone(layer: Layer, name: str, default: Value) -> str:
    """The value of an only argument, where it is not the default."""
    value = layer.attrs[name]
    return layer.show(value) if is_traced(value) or value != default else ""


def _named(layer: Layer, name: str, default: Value) -> tuple[str, ...]:
    """An attribute that PyTorch calls by the same name."""
    return _option(layer, name, layer.attrs[name], default)


def _attribute(name: str) -> Callable[[Layer], str]:
    """The printer of one attribute."""
    return lambda layer: layer.show(layer.attrs[name])


def _joined(*parts: str | tuple[str, ...]) -> str:
    flat = [item for part in parts for item in ((part,) if isinstance(part, str) else part)]
    return ", ".join(flat)


def _both(high: Dim, wide: Dim) -> Value:
    """One number where height and width agree in value and expression, otherwise both."""
    same = _term(high) == _term(wide)
    return high if same else (high, wide)


def _term(dim: Dim) -> object:
    return dim.term if isinstance(dim, Scalar) else dim


def _dim(layer: Layer, axis: Value) -> str:
    """An axis of a sample as PyTorch counts it, behind the batch; from the last, where it is negative."""
    place = cast(Dim, axis)
    return layer.show(place + 1 if place >= 0 else place)


def _channels(layer: Layer) -> str:
    return layer.show(layer.inputs[0][0])


def _fixed(module: str, call: str) -> Row:
    """A row without arguments; `{}` in the call stands for the input, `{.}` for the input before a dot."""
    return Row(
        module=lambda layer: module,
        call=lambda layer, xs: call.replace("{.}", _operand(xs[0])).replace("{}", xs[0]),
    )


def _with(module: str, call: str, arguments: Callable[[Layer], str]) -> Row:
    """A row whose module and call take the same arguments, the call after its input."""
    return Row(
        module=lambda layer: f"{module}({arguments(layer)})",
        call=lambda layer, xs: f"{call}({_joined(xs[0], *filter(None, (arguments(layer),)))})",
    )


def _helper(name: str, arguments: Callable[[Layer], str], call: Callable[[Layer, str], str] | None = None) -> Row:
    """A row whose module is a helper class; it is needed only where the module is written."""

    def module(layer: Layer) -> str:
        return f"{name}({arguments(layer)})"

    if call is None:
        return Row(module=module, helpers=lambda layer: (name,))
    return Row(module=module, call=lambda layer, xs: call(layer, xs[0]), helpers=lambda layer: (name,))


# --- convolutions -------------------------------------------------------------------------------------------------


def _zero_pad(layer: Layer, padding: tuple[Dim, Dim, Dim, Dim]) -> str:
    return f"nn.ZeroPad2d({layer.show(_torch_sides(padding))})"


def _torch_sides(padding: tuple[Dim, Dim, Dim, Dim]) -> Value:
    """PyTorch's order, (left, right, top, bottom); one number where all agree."""
    top, bottom, left, right = padding
    order = (left, right, top, bottom)
    return left if all(_term(side) == _term(left) for side in order) else order


def _conv_padding(layer: Layer) -> tuple[str, ...]:
    if needs_pad_layer(layer.attrs):
        return ()
    top, _, left, _ = padding_of(layer.attrs)
    return _option(layer, "padding", _both(top, left) if is_symmetric(layer.attrs) else "same", 0)


def _conv_options(layer: Layer) -> tuple[str, ...]:
    attrs = layer.attrs
    return (
        *_option(layer, "stride", attrs["stride"], 1),
        *_conv_padding(layer),
        *_option(layer, "dilation", attrs.get("dilation", 1), 1),
    )


def _after_padding(layer: Layer, convolution: str) -> str:
    """The convolution, behind a layer of zeros where PyTorch's own padding cannot say them."""
    if not needs_pad_layer(layer.attrs):
        return convolution
    return f"nn.Sequential({_zero_pad(layer, padding_of(layer.attrs))}, {convolution})"


def _conv(layer: Layer) -> str:
    attrs = layer.attrs
    arguments = _joined(
        _channels(layer),
        layer.show(attrs["width"]),
        layer.show(attrs["kernel"]),
        _conv_options(layer),
        _option(layer, "groups", attrs["groups"], 1),
        _option(layer, "bias", attrs["bias"], True),
    )
    return _after_padding(layer, f"nn.Conv2d({arguments})")


def _depthwise(layer: Layer) -> str:
    channels = _channels(layer)
    arguments = _joined(
        channels,
        layer.show(layer.outputs[0][0]),
        layer.show(layer.attrs["kernel"]),
        _conv_options(layer),
        f"groups={channels}",
        _option(layer, "bias", layer.attrs["bias"], True),
    )
    return _after_padding(layer, f"nn.Conv2d({arguments})")


def _conv_transpose(layer: Layer) -> str:
    attrs = layer.attrs
    arguments = _joined(
        _channels(layer),
        layer.show(attrs["width"]),
        layer.show(attrs["kernel"]),
        _option(layer, "stride", attrs["stride"], 1),
        _option(layer, "padding", attrs["padding"], 0),
        _option(layer, "output_padding", attrs["output_padding"], 0),
        _option(layer, "groups", attrs["groups"], 1),
        _option(layer, "bias", attrs["bias"], True),
        _option(layer, "dilation", attrs["dilation"], 1),
    )
    return f"nn.ConvTranspose2d({arguments})"


def _conv_table(layer: Layer) -> str:
    rows = ", ".join(str(list(row)) for row in table_of(layer.attrs, "table"))
    arguments = _joined(
        _channels(layer),
        f"[{rows}]",
        layer.show(layer.attrs["kernel"]),
        _option(layer, "stride", layer.attrs["stride"], 1),
        _conv_padding(layer),
        _option(layer, "bias", layer.attrs["bias"], True),
    )
    return _after_padding(layer, f"TableConv2d({arguments})")


# --- linear maps --------------------------------------------------------------------------------------------------


def _linear(layer: Layer) -> str:
    outputs = layer.show(layer.attrs["width"])
    features = layer.show(layer.inputs[0][-1])
    return f"nn.Linear({_joined(features, outputs, _option(layer, 'bias', layer.attrs['bias'], True))})"


def _attention(layer: Layer) -> str:
    channels = layer.show(layer.inputs[0][1])
    return _joined(channels, layer.show(layer.attrs["heads"]), _option(layer, "bias", layer.attrs["bias"], True))


def _code_distance(layer: Layer) -> str:
    rows = ", ".join(str(list(row)) for row in table_of(layer.attrs, "codes"))
    return _joined(f"[{rows}]", _option(layer, "bits", layer.attrs["bits"], 1))


def _learned(layer: Layer) -> str:
    shape, init = wholes(layer.attrs, "shape"), layer.attrs["init"]
    sizes = ", ".join(layer.show(d) for d in shape)
    if not is_traced(init) and init in (0, 1):
        return f"nn.Parameter(torch.{'ones' if init == 1 else 'zeros'}({sizes}))"
    return f"nn.Parameter(torch.full({layer.show(shape)}, {layer.show(init)}))"


def _for_each_sample(layer: Layer, xs: tuple[str, ...]) -> str:
    """A learned tensor `xs[0]`, repeated without copying for each sample of `xs[1]`."""
    sizes = ", ".join("-1" for _ in layer.outputs[0])
    return f"{_operand(xs[0])}.expand({_operand(xs[1])}.shape[0], {sizes})"


# --- normalisation ------------------------------------------------------------------------------------------------

_EPS = Fraction(1, 10**5)


def _eps(layer: Layer) -> tuple[str, ...]:
    return _option(layer, "eps", layer.attrs["eps"], _EPS)


def _bn(layer: Layer) -> str:
    attrs, dims = layer.attrs, "2d" if is_map(layer.inputs[0]) else "1d"
    arguments = _joined(
        _channels(layer),
        _eps(layer),
        _option(layer, "momentum", attrs["momentum"], Fraction(1, 10)),
        _option(layer, "affine", attrs["affine"], True),
        _option(layer, "track_running_stats", attrs["track"], True),
    )
    return f"nn.BatchNorm{dims}({arguments})"


def _ln(layer: Layer) -> str:
    shape = normalised(layer.inputs[0], layer.attrs)
    sizes = layer.show(shape[0] if len(shape) == 1 else shape)
    affine = _option(layer, "elementwise_affine", layer.attrs["affine"], True)
    return f"nn.LayerNorm({_joined(sizes, _eps(layer), affine)})"


def _gn(layer: Layer) -> str:
    groups, affine = layer.show(layer.attrs["groups"]), _option(layer, "affine", layer.attrs["affine"], True)
    return f"nn.GroupNorm({_joined(groups, _channels(layer), _eps(layer), affine)})"


def _instance_norm(layer: Layer) -> str:
    affine = _option(layer, "affine", layer.attrs["affine"], False)
    return f"nn.InstanceNorm2d({_joined(_channels(layer), _eps(layer), affine)})"


def _lrn(layer: Layer) -> str:
    attrs = layer.attrs
    return _joined(
        layer.show(attrs["size"]),
        _option(layer, "alpha", attrs["alpha"], Fraction(1, 10**4)),
        _option(layer, "beta", attrs["beta"], Fraction(3, 4)),
        _option(layer, "k", attrs["k"], 1),
    )


# --- functions of each number -------------------------------------------------------------------------------------


def _prelu(layer: Layer) -> str:
    return f"nn.PReLU({_channels(layer) if text(layer.attrs, 'per') == 'channel' else ''})"


def _learned_numbers(default: int) -> Callable[[Layer], str]:
    """The arguments of `Scale` and `Bias`."""

    def arguments(layer: Layer) -> str:
        sizes = tuple(layer.show(d) for d in learned_shape(layer.inputs[0], layer.attrs))
        return _joined(sizes, _option(layer, "init", layer.attrs["init"], default))

    return arguments


def _affine(layer: Layer) -> str:
    scale = _option(layer, "scale", layer.attrs["scale"], 1)
    return _joined(scale, _option(layer, "shift", layer.attrs["shift"], 0))


def _affine_call(layer: Layer, x: str) -> str:
    scale, shift = layer.attrs["scale"], layer.attrs["shift"]
    if scale == -1 and not is_traced(scale):
        return f"-{_operand(x)}" if shift == 0 and not is_traced(shift) else f"{layer.show(shift)} - {_operand(x)}"
    product = x if scale == 1 and not is_traced(scale) else f"{_operand(layer.show(scale))} * {_operand(x)}"
    if shift == 0 and not is_traced(shift):
        return product
    summand = layer.show(shift)
    return (
        f"{product} - {summand[1:]}"
        if summand.startswith("-") and " " not in summand
        else f"{product} + {_operand(summand)}"
    )


def _maxout_call(layer: Layer, x: str) -> str:
    return f"{_operand(x)}.unflatten(1, (-1, {layer.show(layer.attrs['pieces'])})).amax(2)"


# --- random layers ------------------------------------------------------------------------------------------------


def _stochastic_depth(layer: Layer) -> str:
    attrs = layer.attrs
    kept = layer.body_inputs == layer.inputs or text(attrs, "per") == "sample"
    return _joined(
        layer.body,
        layer.show(attrs["keep"]),
        () if kept else (f"shape={layer.show(layer.outputs[0])}",),
        _option(layer, "per", attrs["per"], "batch"),
        _option(layer, "rescale", attrs["rescale"], False),
    )


# --- pooling ------------------------------------------------------------------------------------------------------


def _pool(layer: Layer) -> str:
    attrs = layer.attrs
    stride = attrs["stride"]
    moves = stride is not None and (is_traced(stride) or stride != attrs["kernel"])
    return _joined(
        layer.show(attrs["kernel"]),
        (f"stride={layer.show(stride)}",) if moves else (),
        _option(layer, "padding", attrs["padding"], 0),
        _option(layer, "dilation", attrs.get("dilation", 1), 1),
        _option(layer, "ceil_mode", attrs["ceil"], False),
        _option(layer, "count_include_pad", attrs.get("count_padding", True), True),
    )


def _global_avg_module(layer: Layer) -> str:
    return "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())" if is_map(layer.inputs[0]) else "PositionMean()"


def _global_avg_call(layer: Layer, xs: tuple[str, ...]) -> str:
    return f"{_operand(xs[0])}.mean({'(2, 3)' if is_map(layer.inputs[0]) else '1'})"


def _global_avg_helpers(layer: Layer) -> tuple[str, ...]:
    return () if is_map(layer.inputs[0]) else ("PositionMean",)


def _fractional(layer: Layer) -> str:
    size = _both(layer.outputs[0][1], layer.outputs[0][2])
    return _joined(layer.show(layer.attrs["kernel"]), f"output_size={layer.show(size)}")


def _bins(layer: Layer) -> str:
    return ", ".join(layer.show(b) for b in wholes(layer.attrs, "bins"))


# --- rearranging --------------------------------------------------------------------------------------------------


def _flattens_map(layer: Layer) -> bool:
    """A map to one row for each channel: PyTorch's `flatten(2)`."""
    shape, wanted = layer.inputs[0], wholes(layer.attrs, "shape")
    return is_map(shape) and len(wanted) == 2 and wanted[0] == shape[0]


def _reshape(layer: Layer) -> str:
    wanted = wholes(layer.attrs, "shape")
    if len(wanted) == 1:
        return "nn.Flatten()"
    if _flattens_map(layer):
        return "nn.Flatten(2)"
    unflatten = f"nn.Unflatten(1, {layer.show(wanted)})"
    return unflatten if len(layer.inputs[0]) == 1 else f"nn.Sequential(nn.Flatten(), {unflatten})"


def _reshape_call(layer: Layer, xs: tuple[str, ...]) -> str:
    wanted, x = wholes(layer.attrs, "shape"), _operand(xs[0])
    if len(wanted) == 1:
        return f"{x}.flatten(1)"
    if _flattens_map(layer):
        return f"{x}.flatten(2)"
    flat = x if len(layer.inputs[0]) == 1 else f"{x}.flatten(1)"
    return f"{flat}.unflatten(1, {layer.show(wanted)})"


def _order(layer: Layer) -> str:
    return ", ".join(("0", *(_dim(layer, axis) for axis in wholes(layer.attrs, "order"))))


def _permute_call(layer: Layer, x: str) -> str:
    swaps = wholes(layer.attrs, "order") == (1, 0)
    return f"{_operand(x)}.transpose(1, 2)" if swaps else f"{_operand(x)}.permute({_order(layer)})"


def _cut(start: str, stop: str) -> str:
    """A slice as `ruff format` writes it: with spaces around the colon where a bound is an operation."""
    if " " not in start + stop:
        return f"{start}:{stop}"
    return " ".join(part for part in (start, ":", stop) if part)


def _indexed(x: str, axis: int, cuts: tuple[str, ...]) -> str:
    """`x` cut along consecutive axes of a sample from `axis` on."""
    return f"{_operand(x)}[{', '.join((':',) * (axis + 1) + cuts)}]"


def _slice_bounds(layer: Layer) -> tuple[Dim, Value]:
    return cast(Dim, layer.attrs["start"]), layer.attrs["stop"]


def _slice_call(layer: Layer, x: str) -> str:
    start, stop = _slice_bounds(layer)
    axis = int(cast(Dim, layer.attrs["axis"])) % len(layer.inputs[0])
    first = "" if start == 0 and not is_traced(start) else layer.show(start)
    return _indexed(x, axis, (_cut(first, "" if stop is None else layer.show(stop)),))


def _slice(layer: Layer) -> str:
    stop = "None" if layer.attrs["stop"] is None else layer.show(layer.attrs["stop"])
    axis = layer.attrs["axis"]
    dim = () if axis == 0 and not is_traced(axis) else (f"dim={_dim(layer, axis)}",)
    return _joined(layer.show(layer.attrs["start"]), stop, dim)


def _split_call(layer: Layer, xs: tuple[str, ...]) -> str:
    if len(layer.outputs) == 1:
        return xs[0]  # `chunk` would give a tuple of one
    return f"{_operand(xs[0])}.chunk({layer.show(layer.attrs['parts'])}, dim={_dim(layer, layer.attrs['axis'])})"


def _subsample_call(layer: Layer, x: str) -> str:
    stride = layer.show(layer.attrs["stride"])
    cut = f":: {stride}" if " " in stride or "." in stride else f"::{stride}"
    return _indexed(x, 1, (cut, cut))


def _upsample(layer: Layer) -> str:
    return _joined(
        f"scale_factor={layer.show(layer.attrs['scale'])}", _option(layer, "mode", layer.attrs["mode"], "nearest")
    )


# --- borders ------------------------------------------------------------------------------------------------------


def _zero_padded(layer: Layer) -> str:
    return _zero_pad(layer, sides(layer.attrs["padding"]))


def _reflected(layer: Layer) -> str:
    return f"nn.ReflectionPad2d({layer.show(_torch_sides(sides(layer.attrs['padding'])))})"


def _pad_call(layer: Layer, xs: tuple[str, ...], mode: str = "") -> str:
    top, bottom, left, right = sides(layer.attrs["padding"])
    return f"F.pad({xs[0]}, {layer.show((left, right, top, bottom))}{mode})"


def _crop(layer: Layer) -> str:
    return ", ".join(layer.show(side) for side in sides(layer.attrs["border"]))


def _crop_call(layer: Layer, x: str) -> str:
    top, bottom, left, right = sides(layer.attrs["border"])
    cuts = tuple(_cut(_unless_zero(layer, a), _unless_zero(layer, -b)) for a, b in ((top, bottom), (left, right)))
    return _indexed(x, 1, cuts)


def _unless_zero(layer: Layer, side: Dim) -> str:
    return "" if side == 0 and not is_traced(side) else layer.show(side)


def _channel_pad(layer: Layer) -> str:
    return _joined(layer.show(layer.attrs["width"]), _option(layer, "where", layer.attrs["where"], "end"))


# --- merges -------------------------------------------------------------------------------------------------------


def _infix(sign: str) -> Row:
    return Row(call=lambda layer, xs: _chain(sign, xs))


def _chain(sign: str, xs: tuple[str, ...]) -> str:
    return xs[0] if len(xs) == 1 else f" {sign} ".join(_operand(x) for x in xs)


def _mean(layer: Layer, xs: tuple[str, ...]) -> str:
    return xs[0] if len(xs) == 1 else f"({_chain('+', xs)}) / {len(xs)}"


def _pairwise(function: str) -> Row:
    """A row for a function of two tensors, applied from the left to any number."""

    def call(layer: Layer, xs: tuple[str, ...]) -> str:
        result = xs[0]
        for x in xs[1:]:
            result = f"{function}({result}, {x})"
        return result

    return Row(call=call)


def _concat(layer: Layer, xs: tuple[str, ...]) -> str:
    return xs[0] if len(xs) == 1 else f"torch.cat(({', '.join(xs)}), dim={_dim(layer, layer.attrs['axis'])})"


def _join(layer: Layer) -> str:
    attrs = layer.attrs
    arguments = _joined(
        str(len(layer.inputs)),
        _option(layer, "drop", attrs["drop"], 0),
        _option(layer, "mode", attrs["mode"], "local"),
        _option(layer, "per", attrs["per"], "batch"),
    )
    return f"Join({arguments})"


def _averages(layer: Layer) -> bool:
    """A join that drops nothing is the mean."""
    return len(layer.inputs) == 1 or is_plain_mean(layer.attrs)


def _draw(layer: Layer, x: str) -> str:
    """What the network's own forward begins with where a column holds for all its joins."""
    local = _averages(layer) or text(layer.attrs, "mode") == "local"
    return "" if local else f"draw_column(self, {x})"


def _join_helpers(layer: Layer) -> tuple[str, ...]:
    return ("Join", "draw_column") if _draw(layer, "x") else ("Join",)


def _shake(layer: Layer) -> str:
    attrs = layer.attrs
    return _joined(
        _option(layer, "forward", attrs["forward"], "shake"),
        _option(layer, "backward", attrs["backward"], "shake"),
        _option(layer, "level", attrs["level"], "image"),
    )


# --- the table ----------------------------------------------------------------------------------------------------

ROWS: dict[str, Row] = {
    "conv": Row(module=_conv),
    "depthwise": Row(module=_depthwise),
    "conv_transpose": Row(module=_conv_transpose),
    "conv_table": Row(module=_conv_table, helpers=lambda layer: ("TableConv2d",)),
    "linear": Row(module=_linear),
    "matmul": _infix("@"),
    "attention": _helper("SelfAttention", _attention),
    "code_distance": _helper("CodeDistance", _code_distance),
    "learned": Row(module=_learned, call=_for_each_sample),
    "bn": Row(module=_bn),
    "ln": Row(module=_ln),
    "gn": Row(module=_gn),
    "instance_norm": Row(module=_instance_norm),
    "lrn": Row(module=lambda layer: f"nn.LocalResponseNorm({_lrn(layer)})"),
    "relu": _fixed("nn.ReLU()", "F.relu({})"),
    "relu6": _fixed("nn.ReLU6()", "F.relu6({})"),
    "leaky_relu": _with("nn.LeakyReLU", "F.leaky_relu", lambda layer: _alone(layer, "slope", Fraction(1, 100))),
    "prelu": Row(module=_prelu),
    "elu": _with("nn.ELU", "F.elu", lambda layer: _alone(layer, "alpha", 1)),
    "selu": _fixed("nn.SELU()", "F.selu({})"),
    "gelu": _with("nn.GELU", "F.gelu", lambda layer: _joined(_named(layer, "approximate", "none"))),
    "silu": _fixed("nn.SiLU()", "F.silu({})"),
    "sigmoid": _fixed("nn.Sigmoid()", "torch.sigmoid({})"),
    "tanh": _fixed("nn.Tanh()", "torch.tanh({})"),
    "hard_sigmoid": _fixed("nn.Hardsigmoid()", "F.hardsigmoid({})"),
    "hard_swish": _fixed("nn.Hardswish()", "F.hardswish({})"),
    "hard_tanh": _fixed("nn.Hardtanh()", "F.hardtanh({})"),
    "softmax": _with("nn.Softmax", "F.softmax", lambda layer: f"dim={_dim(layer, layer.attrs['axis'])}"),
    "maxout": _helper("Maxout", _attribute("pieces"), _maxout_call),
    "scale": _helper("Scale", _learned_numbers(1)),
    "bias": _helper("Bias", _learned_numbers(0)),
    "affine": _helper("Affine", _affine, _affine_call),
    "identity": _fixed("nn.Identity()", "{}"),
    "dropout": Row(module=lambda layer: f"nn.Dropout({layer.show(layer.attrs['p'])})"),
    "channel_dropout": Row(module=lambda layer: f"nn.Dropout2d({layer.show(layer.attrs['p'])})"),
    "bernoulli_mask": _helper("BernoulliMask", _attribute("keep")),
    "stochastic_depth": _helper("StochasticDepth", _stochastic_depth),
    "max_pool": _with("nn.MaxPool2d", "F.max_pool2d", _pool),
    "avg_pool": _with("nn.AvgPool2d", "F.avg_pool2d", _pool),
    "adaptive_avg_pool": _with("nn.AdaptiveAvgPool2d", "F.adaptive_avg_pool2d", _attribute("size")),
    "adaptive_max_pool": _with("nn.AdaptiveMaxPool2d", "F.adaptive_max_pool2d", _attribute("size")),
    "global_avg_pool": Row(module=_global_avg_module, call=_global_avg_call, helpers=_global_avg_helpers),
    "global_max_pool": _fixed(
        "nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())", "F.adaptive_max_pool2d({}, 1).flatten(1)"
    ),
    "fractional_max_pool": _with("nn.FractionalMaxPool2d", "F.fractional_max_pool2d", _fractional),
    "spp": _helper("SpatialPyramidPool", _bins),
    "flatten": _fixed("nn.Flatten()", "{.}.flatten(1)"),
    "reshape": Row(module=_reshape, call=_reshape_call),
    "permute": _helper("Permute", _order, _permute_call),
    "slice": _helper("Slice", _slice, _slice_call),
    "split": Row(call=_split_call),
    "subsample": _helper("Subsample", _attribute("stride"), _subsample_call),
    "upsample": _with("nn.Upsample", "F.interpolate", _upsample),
    "pixel_shuffle": _with("nn.PixelShuffle", "F.pixel_shuffle", _attribute("factor")),
    "pixel_unshuffle": _with("nn.PixelUnshuffle", "F.pixel_unshuffle", _attribute("factor")),
    "channel_shuffle": _with("nn.ChannelShuffle", "F.channel_shuffle", _attribute("groups")),
    "zero_pad": Row(module=_zero_padded, call=lambda layer, xs: _pad_call(layer, xs)),
    "reflect_pad": Row(module=_reflected, call=lambda layer, xs: _pad_call(layer, xs, ', mode="reflect"')),
    "crop": _helper("Crop", _crop, _crop_call),
    "shift": _helper("Shift", lambda layer: f"{_attribute('down')(layer)}, {_attribute('right')(layer)}"),
    "channel_pad": _helper("ChannelPad", _channel_pad),
    "add": _infix("+"),
    "sub": _infix("-"),
    "mul": _infix("*"),
    "concat": Row(call=_concat),
    "sum": _infix("+"),
    "mean": Row(call=_mean),
    "max": _pairwise("torch.maximum"),
    "min": _pairwise("torch.minimum"),
    "join": Row(module=_join, call=_mean, calls=_averages, prepare=_draw, helpers=_join_helpers),
    "shake_add": _helper("ShakeAdd", _shake),
}
